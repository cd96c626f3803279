#include "server/serve.h"

#include <memory>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace vedette {
namespace {

// A body that is written while it is sent. Events go out one by one, pieces of an answer when there
// is enough of them.
void SetStream(api::Reply reply, http::Response& response) {
  const bool endless = reply.endless;
  auto produce = [stream = std::move(reply.stream), endless](http::BodyWriter& out) -> Status {
    Status status;
    stream([&](std::string_view piece) {
      if (status.ok() && !piece.empty()) status = out.Write(piece);
      if (status.ok() && endless && !piece.empty()) status = out.Flush();
      return status.ok() && !out.cancelled();
    });
    return status;
  };
  if (endless) {
    response.StreamForLong(reply.content_type, std::move(produce));
  } else {
    response.Stream(reply.content_type, std::move(produce));
  }
}

}  // namespace

http::Handler Serve(ApiHandler handler) {
  return [handler = std::move(handler)](const http::Request& request, http::Response& response) {
    api::Call call;
    call.params.assign(request.params.begin(), request.params.end());
    call.path_params.assign(request.path_params.begin(), request.path_params.end());
    call.body = request.body;
    call.accept = request.headers.Get("Accept");
    call.origin = StrCat("http ", request.peer, request.user.empty() ? "" : " as ", request.user);
    const auto cancel = std::make_shared<promql::CancelFlag>();
    call.cancel = cancel.get();
    request.cancellation->OnCancel([cancel] { cancel->Cancel(); });
    api::Reply reply = handler(call);
    request.cancellation->Forget();
    response.status = reply.status;
    const auto headers = std::move(reply.headers);
    if (reply.stream != nullptr) {
      SetStream(std::move(reply), response);
    } else if (reply.status != 204) {
      response.SetBody(reply.content_type, std::move(reply.body));
    }
    for (const auto& [name, value] : headers) response.headers.Set(name, value);
  };
}

}  // namespace vedette
