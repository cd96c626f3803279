#pragma once

#include "common/http/request.h"
#include "common/http/router.h"

namespace vedette::http {

// The header under which a request has a name: the client's own, or one made here. It comes back in
// the answer and stands in what is logged about the request.
inline constexpr char kRequestId[] = "X-Request-Id";

// Gives every request an id, unless it came with a usable one (request_scope.h). The first filter,
// and a decorator.
Router::Filter RequestIds();
Router::Decorator RequestIdHeader();

}  // namespace vedette::http
