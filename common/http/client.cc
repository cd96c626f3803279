#include "common/http/client.h"

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/http/curl_easy.h"

namespace vedette::http {
namespace {

constexpr size_t kMaxIdleTransfers = 16;
constexpr int64_t kTokenMarginMs = 10'000;  // A token this near its end is replaced.

int64_t SteadyMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

struct Client::Impl {
  explicit Impl(ClientOptions o) : options(std::move(o)) {}

  std::unique_ptr<Transfer> Take() {
    {
      MutexLock lock(mu);
      if (!idle.empty()) {
        std::unique_ptr<Transfer> transfer = std::move(idle.back());
        idle.pop_back();
        return transfer;
      }
    }
    return std::make_unique<Transfer>();
  }
  void GiveBack(std::unique_ptr<Transfer> transfer) {
    MutexLock lock(mu);
    if (idle.size() < kMaxIdleTransfers) idle.push_back(std::move(transfer));
  }

  Result<std::string> BearerToken() {
    if (!options.oauth2) return std::string();
    {
      MutexLock lock(mu);
      if (!token.empty() && SteadyMs() < token_until_ms) return token;
    }
    VEDETTE_ASSIGN_OR_RETURN(const Token fresh, FetchToken(*options.oauth2, options));
    MutexLock lock(mu);
    token = fresh.value;
    const int64_t lifetime_ms = fresh.lifetime_ms > 0 ? fresh.lifetime_ms : 3'600'000;
    token_until_ms = SteadyMs() + lifetime_ms - kTokenMarginMs;
    return fresh.value;
  }
  // `used` was refused; another request may have fetched a new one since.
  void ForgetToken(const std::string& used) {
    MutexLock lock(mu);
    if (token == used) token.clear();
  }
  Result<ClientResponse> Try(const ClientRequest& request, const std::string& bearer,
                             const std::atomic<bool>* cancelled) {
    std::unique_ptr<Transfer> transfer = Take();
    VEDETTE_RETURN_IF_ERROR(transfer->Prepare(options, request, cancelled, bearer, ""));
    Result<ClientResponse> answer = transfer->Finish(transfer->Perform());
    GiveBack(std::move(transfer));
    return answer;
  }

  const ClientOptions options;
  Mutex mu;
  std::vector<std::unique_ptr<Transfer>> idle VEDETTE_GUARDED_BY(mu);
  std::string token VEDETTE_GUARDED_BY(mu);
  int64_t token_until_ms VEDETTE_GUARDED_BY(mu) = 0;
};

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;

const ClientOptions& Client::options() const { return impl_->options; }

Result<ClientResponse> Client::Do(const ClientRequest& request,
                                  const std::atomic<bool>* cancelled) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string bearer, impl_->BearerToken());
  Result<ClientResponse> answer = impl_->Try(request, bearer, cancelled);
  if (answer.ok() && answer->status == 401 && impl_->options.oauth2) {
    // A token that was withdrawn before its end: once more, with another one.
    impl_->ForgetToken(bearer);
    VEDETTE_ASSIGN_OR_RETURN(const std::string fresh, impl_->BearerToken());
    answer = impl_->Try(request, fresh, cancelled);
    if (answer.ok() && answer->status == 401) impl_->ForgetToken(fresh);
  }
  if (!answer.ok()) return answer;
  const int64_t max_bytes =
      request.max_body_bytes > 0 ? request.max_body_bytes : impl_->options.max_body_bytes;
  VEDETTE_RETURN_IF_ERROR(DecodeBody(*answer, size_t(max_bytes)));
  return answer;
}

}  // namespace vedette::http
