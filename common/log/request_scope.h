#pragma once

#include <string>
#include <string_view>

namespace vedette::log {

// While it stands, every line that this thread logs carries request_id=ID, so that what a request led
// to can be found from its answer. Where one stands inside another the innermost counts. Of one thread.
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

}  // namespace vedette::log
