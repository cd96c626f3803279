#pragma once

#include "common/http/router.h"

namespace vedette::http {

// A page from elsewhere, open in the browser of somebody who may do things here, must not do them
// in that person's name. What a browser says about where a request began (Sec-Fetch-Site, else
// Origin) is compared with this server: 403 for every POST, PUT, PATCH and DELETE from another
// origin, but for those that only read (`reads` are ends of paths, such as "/query"). Programs send
// neither header.
Router::Filter SameOriginWrites(std::vector<std::string> reads);

}  // namespace vedette::http
