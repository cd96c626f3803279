#include "common/http/multi_client.h"

#include <curl/curl.h>
#include <pthread.h>

#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/http/curl_easy.h"
#include "common/http/plain_loop.h"

namespace vedette::http {
namespace {

constexpr size_t kMaxIdleTransfers = 256;

}  // namespace

struct MultiClient::Impl {
  struct Job {
    Order order;
    std::unique_ptr<Transfer> transfer;
  };

  Impl(const std::string& name, int max_connections)
      : multi(curl_multi_init()),
        plain(std::make_unique<PlainLoop>(name, buffers,
                                          [this](Order order) { Submit(std::move(order)); })) {
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, long(max_connections));
    thread = std::thread([this, name = StrCat(name.substr(0, 10), "-curl")] {
      pthread_setname_np(pthread_self(), name.c_str());
      Loop();
    });
  }

  ~Impl() {
    plain = nullptr;  // It refers orders to this.
    {
      MutexLock lock(mu);
      stopping = true;
    }
    curl_multi_wakeup(multi);
    thread.join();
    idle.clear();
    curl_multi_cleanup(multi);
  }

  void Submit(Order order) VEDETTE_EXCLUDES(mu) {
    {
      MutexLock lock(mu);
      submitted.push_back(std::move(order));
    }
    curl_multi_wakeup(multi);
  }

  // False once the client ends.
  bool TakeOrders(std::vector<Order>& fresh, std::vector<uint64_t>& gone) VEDETTE_EXCLUDES(mu) {
    MutexLock lock(mu);
    fresh.swap(submitted);
    gone.swap(cancels);
    return !stopping;
  }

  void Begin(Order order) {
    Job job{.order = std::move(order), .transfer = Take()};
    const Order& o = job.order;
    Status status = job.transfer->Prepare(*o.options, o.request, nullptr, "", buffers.Take());
    if (status.ok() && o.options->oauth2) {
      status = Unimplemented("OAuth2 needs http::Client: a token is fetched by blocking");
    }
    if (!status.ok()) return o.done(std::move(status));
    void* handle = job.transfer->handle();
    if (const CURLMcode code = curl_multi_add_handle(multi, handle); code != CURLM_OK) {
      return o.done(Internal(curl_multi_strerror(code)));
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
    job.order.done(Cancelled("cancelled"));
  }

  // Where a plain request went, the next one to the same host finds its way without curl.
  void Learn(const Job& job) {
    if (!PlainLoop::Takes(*job.order.options, job.order.request)) return;
    long redirects = 0;
    char* address = nullptr;
    curl_easy_getinfo(job.transfer->handle(), CURLINFO_REDIRECT_COUNT, &redirects);
    curl_easy_getinfo(job.transfer->handle(), CURLINFO_PRIMARY_IP, &address);
    if (redirects == 0 && address != nullptr) plain->Learn(job.order.request.url, address);
  }

  void CancelOne(uint64_t id) {
    for (auto it = running.begin(); it != running.end(); ++it) {
      if (it->second.order.id == id) return Abort(Remove(it));
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
      if (answer.ok()) Learn(job);
      if (idle.size() < kMaxIdleTransfers) idle.push_back(std::move(job.transfer));
      job.order.done(std::move(answer));
    }
  }

  void Loop() {
    std::vector<Order> fresh;
    std::vector<uint64_t> gone;
    while (true) {
      fresh.clear();
      gone.clear();
      const bool go_on = TakeOrders(fresh, gone);
      if (!go_on) break;
      for (Order& order : fresh) Begin(std::move(order));
      for (uint64_t id : gone) CancelOne(id);
      int active = 0;
      curl_multi_perform(multi, &active);
      Complete();
      curl_multi_poll(multi, nullptr, 0, 1'000, nullptr);
    }
    while (!running.empty()) Abort(Remove(running.begin()));
    for (Order& order : fresh) order.done(Cancelled("cancelled"));
  }

  std::unique_ptr<Transfer> Take() {
    if (idle.empty()) return std::make_unique<Transfer>();
    std::unique_ptr<Transfer> transfer = std::move(idle.back());
    idle.pop_back();
    return transfer;
  }

  CURLM* const multi;
  BodyBuffers buffers;
  std::map<void*, Job> running;                 // The thread's own, by curl handle.
  std::vector<std::unique_ptr<Transfer>> idle;  // The thread's own.
  Mutex mu;
  std::vector<Order> submitted VEDETTE_GUARDED_BY(mu);
  std::vector<uint64_t> cancels VEDETTE_GUARDED_BY(mu);
  uint64_t next_id VEDETTE_GUARDED_BY(mu) = 1;
  bool stopping VEDETTE_GUARDED_BY(mu) = false;
  std::unique_ptr<PlainLoop> plain;
  std::thread thread;
};

MultiClient::MultiClient(std::string name, int max_connections) {
  Transfer first;  // Starts curl itself, before its multi interface is asked.
  impl_ = std::make_unique<Impl>(std::move(name), max_connections);
}
MultiClient::~MultiClient() = default;

uint64_t MultiClient::Submit(std::shared_ptr<const ClientOptions> options, ClientRequest request,
                             Done done) {
  Order order{.options = std::move(options), .request = std::move(request), .done = std::move(done)};
  {
    MutexLock lock(impl_->mu);
    order.id = impl_->next_id++;
  }
  const uint64_t id = order.id;
  if (PlainLoop::Takes(*order.options, order.request)) {
    impl_->plain->Submit(std::move(order));
  } else {
    impl_->Submit(std::move(order));
  }
  return id;
}

void MultiClient::Cancel(uint64_t id) {
  impl_->plain->Cancel(id);
  {
    MutexLock lock(impl_->mu);
    impl_->cancels.push_back(id);
  }
  curl_multi_wakeup(impl_->multi);
}

BodyBuffers& MultiClient::buffers() { return impl_->buffers; }

}  // namespace vedette::http
