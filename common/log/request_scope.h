#pragma once

#include <string>
#include <string_view>

namespace vedette::log {

// While it stands, every line that this thread logs carries request_id=ID, so that what a request
// led to can be found from its answer. Where one stands inside another the innermost counts. Of one
// thread.
class RequestScope {
 public:
  RequestScope();
  ~RequestScope();
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

  void Set(std::string_view id) { id_ = id; }  // "": no id.

  // Of the calling thread; "" outside of any request.
  static std::string_view Current();

 private:
  const RequestScope* const outer_;
  std::string id_;
};

// Whether a client's own id can be taken over: at most 64 letters, digits and -._:/+=.
bool UsableRequestId(std::string_view id);
// Sixteen hexadecimal digits that this process has not given before. Thread-safe.
std::string NewRequestId();

}  // namespace vedette::log
