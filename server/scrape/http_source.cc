#include "server/scrape/http_source.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/exposition/negotiate.h"
#include "common/http/client.h"
#include "common/http/from_config.h"

namespace vedette::scrape {
namespace {

// A body has a limit even where the job sets none.
constexpr int64_t kDefaultBodyBytes = 64 << 20;

class HttpSource final : public Source {
 public:
  HttpSource(const Target& target, const Job& job,
             std::shared_ptr<const http::ClientOptions> options, http::MultiClient& client)
      : client_(client),
        options_(std::move(options)),
        url_(target.url),
        accept_(exposition::AcceptHeader(job.protocols, job.escaping)),
        fallback_(job.fallback_protocol),
        limited_(job.limits.body_size_bytes > 0),
        max_body_bytes_(limited_ ? static_cast<int64_t>(job.limits.body_size_bytes)
                                 : kDefaultBodyBytes) {}

  ~HttpSource() override {
    cancelled_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void Start(const Request& request, Fetched fetched) override {
    body_bytes_ = 0;
    wire_bytes_ = 0;
    http::ClientRequest ask;
    ask.url = url_;
    ask.headers.Set("Accept", accept_);
    ask.headers.Set("X-Prometheus-Scrape-Timeout-Seconds",
                    StrCat(static_cast<double>(request.timeout_ms) / 1000));
    ask.timeout_ms = request.timeout_ms;
    ask.max_body_bytes = max_body_bytes_;
    if (options_->oauth2) {
      StartOnThread(std::move(ask), std::move(fetched));
      return;
    }
    // The answer may come before Submit has returned its id.
    const uint64_t id =
        client_.Submit(options_, std::move(ask),
                       [this, fetched = std::move(fetched)](Result<http::ClientResponse> answer) {
                         fetched(Take(std::move(answer)));
                       });
    MutexLock lock(mu_);
    id_ = id;
  }

  Status Deliver(SourceSink& sink) override {
    // Not where it arrives: all targets share that thread.
    Status status = Named(http::DecodeBody(answer_, static_cast<size_t>(max_body_bytes_),
                                           &client_.buffers()));
    body_bytes_ = static_cast<int64_t>(answer_.body.size());
    if (status.ok()) status = sink.OnBody(answer_.body, protocol_);
    client_.buffers().Give(std::move(answer_.body));
    answer_ = {};
    return status;
  }

  void Cancel() override {
    cancelled_ = true;
    uint64_t id = 0;
    {
      MutexLock lock(mu_);
      id = id_;
    }
    // An id of an answer that has come is known to nobody any more.
    if (id != 0) client_.Cancel(id);
  }

  int64_t body_bytes() const override { return body_bytes_; }
  int64_t wire_bytes() const override { return wire_bytes_; }

 private:
  Status Take(Result<http::ClientResponse> answer) {
    if (!answer.ok()) return Named(answer.status());
    answer_ = *std::move(answer);
    wire_bytes_ = answer_.wire_bytes;
    if (answer_.status != 200) {
      return Unavailable(StrCat("server returned HTTP status ", answer_.status, " ",
                                http::ReasonPhrase(answer_.status)));
    }
    VEDETTE_ASSIGN_OR_RETURN(protocol_, exposition::ProtocolOfContentType(
                                            answer_.headers.Get("Content-Type"), fallback_));
    return Status();
  }

  // With the name of the setting that was exceeded, if it is one.
  Status Named(Status why) const {
    if (why.code() != StatusCode::kResourceExhausted || !limited_) return why;
    return ResourceExhausted(StrCat("body_size_limit exceeded (limit: ", max_body_bytes_,
                                    " bytes): ", why.message()));
  }

  // A token is fetched by a call that waits, so such a target has a thread while it is scraped.
  void StartOnThread(http::ClientRequest ask, Fetched fetched) {
    if (thread_.joinable()) thread_.join();  // Its `fetched` has run.
    if (own_client_ == nullptr) own_client_ = std::make_unique<http::Client>(*options_);
    cancelled_ = false;
    thread_ = std::thread([this, ask = std::move(ask), fetched = std::move(fetched)] {
      fetched(Take(own_client_->Do(ask, &cancelled_)));
    });
  }

  http::MultiClient& client_;
  std::unique_ptr<http::Client> own_client_;
  std::atomic<bool> cancelled_{false};
  std::thread thread_;
  const std::shared_ptr<const http::ClientOptions> options_;
  const std::string url_;
  const std::string accept_;
  const std::optional<exposition::Protocol> fallback_;
  const bool limited_;
  const int64_t max_body_bytes_;
  // Between Start and `fetched` the client's, otherwise the scrape's: a hand-over, no lock.
  int64_t body_bytes_ = 0;
  int64_t wire_bytes_ = 0;
  http::ClientResponse answer_;
  exposition::Protocol protocol_ = exposition::Protocol::kText0_0_4;
  Mutex mu_;
  uint64_t id_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace

http::ClientOptions ToClientOptions(const config::HttpClientConfig& config) {
  return http::ToClientOptions(config);
}

std::unique_ptr<Source> MakeHttpSource(const Target& target, const Job& job,
                                       std::shared_ptr<const http::ClientOptions> options,
                                       http::MultiClient& client) {
  if (!target.unix_socket.empty() || options->accept_compressed != job.enable_compression) {
    auto own = std::make_shared<http::ClientOptions>(*options);
    own->unix_socket = target.unix_socket;
    own->accept_compressed = job.enable_compression;
    options = std::move(own);
  }
  return std::make_unique<HttpSource>(target, job, std::move(options), client);
}

}  // namespace vedette::scrape
