#include "common/http/request.h"

#include <utility>

#include "common/base/strings.h"

namespace vedette::http {

void Cancellation::OnCancel(std::function<void()> fn) {
  {
    MutexLock lock(mu_);
    if (!cancelled_.load(std::memory_order_relaxed)) {
      callbacks_.push_back(std::move(fn));
      return;
    }
  }
  fn();
}

void Cancellation::Forget() {
  MutexLock lock(mu_);
  callbacks_.clear();
}

void Cancellation::Cancel() {
  std::vector<std::function<void()>> callbacks;
  {
    MutexLock lock(mu_);
    if (cancelled_.exchange(true, std::memory_order_release)) return;
    callbacks.swap(callbacks_);
  }
  for (const auto& callback : callbacks) callback();
}

Status ParseTarget(Request& request) {
  std::string_view target = request.target;
  // A proxy's absolute form: http://host/path.
  if (!target.starts_with('/')) {
    const size_t scheme = target.find("://");
    if (scheme != std::string_view::npos) {
      const size_t slash = target.find('/', scheme + 3);
      target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
    } else if (target != "*") {
      return InvalidArgument(StrCat("not a request target: ", Quoted(target.substr(0, 100))));
    }
  }
  target = target.substr(0, target.find('#'));
  const size_t question = target.find('?');
  request.raw_path = target.substr(0, question);
  VEDETTE_ASSIGN_OR_RETURN(request.path, UrlDecode(request.raw_path, false));
  if (question != std::string_view::npos) {
    VEDETTE_RETURN_IF_ERROR(ParseForm(target.substr(question + 1), request.query));
  }
  request.params = request.query;
  return {};
}

Status MergeForm(Request& request) {
  std::string_view type = request.headers.Get("Content-Type");
  type = Trim(type.substr(0, type.find(';')));
  if (!EqualsIgnoreCase(type, "application/x-www-form-urlencoded")) return {};
  return ParseForm(request.body, request.params).Annotate("form body");
}

void Response::SetBody(std::string_view content_type, std::string text) {
  headers.Set("Content-Type", content_type);
  body = std::move(text);
  producer = nullptr;
}

void Response::SetError(int code, std::string_view message) {
  status = code;
  SetBody("text/plain; charset=utf-8", StrCat(message, "\n"));
}

void Response::Stream(std::string_view content_type, Producer produce) {
  headers.Set("Content-Type", content_type);
  producer = std::move(produce);
}

void Response::StreamForLong(std::string_view content_type, Producer produce) {
  Stream(content_type, std::move(produce));
  own_thread = true;
}

void Response::Redirect(int code, std::string_view location) {
  status = code;
  headers.Set("Location", location);
}

}  // namespace vedette::http
