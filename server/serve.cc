#include "server/serve.h"

#include <memory>
#include <utility>

namespace vedette {

http::Handler Serve(ApiHandler handler) {
  return [handler = std::move(handler)](const http::Request& request, http::Response& response) {
    api::Call call;
    call.params.assign(request.params.begin(), request.params.end());
    call.path_params.assign(request.path_params.begin(), request.path_params.end());
    call.body = request.body;
    const auto cancel = std::make_shared<promql::CancelFlag>();
    call.cancel = cancel.get();
    request.cancellation->OnCancel([cancel] { cancel->Cancel(); });
    api::Reply reply = handler(call);
    request.cancellation->Forget();
    response.status = reply.status;
    if (reply.status != 204) response.SetBody(reply.content_type, std::move(reply.body));
    for (const auto& [name, value] : reply.headers) response.headers.Set(name, value);
  };
}

}  // namespace vedette
