#include "common/http/request_id.h"

#include <string_view>

#include "common/log/request_scope.h"

namespace vedette::http {

Router::Filter RequestIds() {
  return [](Request& request, Response&, const RouteOptions&) {
    if (!log::UsableRequestId(request.headers.Get(kRequestId))) {
      request.headers.Set(kRequestId, log::NewRequestId());
    }
    return true;
  };
}

Router::Decorator RequestIdHeader() {
  return [](const Request& request, Response& response) {
    // What never became a request has none, or one that nobody has looked at.
    const std::string_view id = request.headers.Get(kRequestId);
    if (log::UsableRequestId(id)) response.headers.Set(kRequestId, id);
  };
}

}  // namespace vedette::http
