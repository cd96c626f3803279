#include "common/http/multi_client.h"

#include <curl/curl.h>
#include <pthread.h>

#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/http/curl_easy.h"

namespace vedette::http {
namespace {

constexpr size_t kMaxIdleTransfers = 256;

}  // namespace

struct MultiClient::Impl {
  struct Job {
    uint64_t id = 0;
    std::shared_ptr<const ClientOptions> options;
    ClientRequest request;
    std::string buffer;
    Done done;
    std::unique_ptr<Transfer> transfer;
  };

  Impl(std::string name, int max_connections) : multi(curl_multi_init()) {
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, long(max_connections));
    thread = std::thread([this, name = name.substr(0, 15)] {
      pthread_setname_np(pthread_self(), name.c_str());
      Loop();
    });
  }

  ~Impl() {
    {
      MutexLock lock(mu);
      stopping = true;
    }
    curl_multi_wakeup(multi);
    thread.join();
    idle.clear();
    curl_multi_cleanup(multi);
  }

  // False once the client ends.
  bool TakeOrders(std::vector<Job>& fresh, std::vector<uint64_t>& gone) VEDETTE_EXCLUDES(mu) {
    MutexLock lock(mu);
    fresh.swap(submitted);
    gone.swap(cancels);
    return !stopping;
  }

  void Begin(Job job) {
    job.transfer = Take();
    Status status =
        job.transfer->Prepare(*job.options, job.request, nullptr, "", std::move(job.buffer));
    if (status.ok() && job.options->oauth2) {
      status = Unimplemented("OAuth2 needs http::Client: a token is fetched by blocking");
    }
    if (!status.ok()) return job.done(std::move(status));
    void* handle = job.transfer->handle();
    if (const CURLMcode code = curl_multi_add_handle(multi, handle); code != CURLM_OK) {
      return job.done(Internal(curl_multi_strerror(code)));
    }
    running.emplace(handle, std::move(job));
  }

  // Takes a job out of curl's hands.
  Job Remove(std::map<void*, Job>::iterator it) {
    Job job = std::move(it->second);
    curl_multi_remove_handle(multi, it->first);
    running.erase(it);
    return job;
  }

  void Abort(Job job) {
    if (idle.size() < kMaxIdleTransfers && job.transfer) idle.push_back(std::move(job.transfer));
    job.done(Cancelled("cancelled"));
  }

  void CancelOne(uint64_t id) {
    for (auto it = running.begin(); it != running.end(); ++it) {
      if (it->second.id == id) return Abort(Remove(it));
    }
  }

  void Complete() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      auto it = running.find(message->easy_handle);
      const CURLcode code = message->data.result;  // The message dies with the removal.
      if (it == running.end()) continue;
      Job job = Remove(it);
      Result<ClientResponse> answer = job.transfer->Finish(code);
      if (idle.size() < kMaxIdleTransfers) idle.push_back(std::move(job.transfer));
      job.done(std::move(answer));
    }
  }

  void Loop() {
    std::vector<Job> fresh;
    std::vector<uint64_t> gone;
    while (true) {
      fresh.clear();
      gone.clear();
      const bool go_on = TakeOrders(fresh, gone);
      if (!go_on) break;
      for (Job& job : fresh) Begin(std::move(job));
      for (uint64_t id : gone) CancelOne(id);
      int active = 0;
      curl_multi_perform(multi, &active);
      Complete();
      curl_multi_poll(multi, nullptr, 0, 1'000, nullptr);
    }
    while (!running.empty()) Abort(Remove(running.begin()));
    for (Job& job : fresh) Abort(std::move(job));
  }

  std::unique_ptr<Transfer> Take() {
    if (idle.empty()) return std::make_unique<Transfer>();
    std::unique_ptr<Transfer> transfer = std::move(idle.back());
    idle.pop_back();
    return transfer;
  }

  CURLM* const multi;
  std::map<void*, Job> running;                 // The thread's own, by curl handle.
  std::vector<std::unique_ptr<Transfer>> idle;  // The thread's own.
  Mutex mu;
  std::vector<Job> submitted VEDETTE_GUARDED_BY(mu);
  std::vector<uint64_t> cancels VEDETTE_GUARDED_BY(mu);
  uint64_t next_id VEDETTE_GUARDED_BY(mu) = 1;
  bool stopping VEDETTE_GUARDED_BY(mu) = false;
  std::thread thread;
};

MultiClient::MultiClient(std::string name, int max_connections) {
  Transfer first;  // Starts curl itself, before its multi interface is asked.
  impl_ = std::make_unique<Impl>(std::move(name), max_connections);
}
MultiClient::~MultiClient() = default;

uint64_t MultiClient::Submit(std::shared_ptr<const ClientOptions> options, ClientRequest request,
                             std::string buffer, Done done) {
  uint64_t id = 0;
  {
    MutexLock lock(impl_->mu);
    id = impl_->next_id++;
    impl_->submitted.push_back({.id = id,
                                .options = std::move(options),
                                .request = std::move(request),
                                .buffer = std::move(buffer),
                                .done = std::move(done)});
  }
  curl_multi_wakeup(impl_->multi);
  return id;
}

void MultiClient::Cancel(uint64_t id) {
  {
    MutexLock lock(impl_->mu);
    impl_->cancels.push_back(id);
  }
  curl_multi_wakeup(impl_->multi);
}

}  // namespace vedette::http
