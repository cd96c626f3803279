#pragma once

#include <functional>

#include "common/http/request.h"
#include "server/api/http/call.h"

namespace vedette {

using ApiHandler = std::function<api::Reply(const api::Call&)>;

// Between the HTTP library and the doors: a request becomes a Call, a Reply an answer, and a client
// that goes away sets the query's flag.
http::Handler Serve(ApiHandler handler);

}  // namespace vedette
