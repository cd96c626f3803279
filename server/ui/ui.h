#pragma once

#include <string>

#include "common/http/router.h"

namespace vedette::ui {

// Puts the web interface into the router: its files under `prefix`, its page at every address that
// a page of it has, and redirects from where Prometheus keeps the same things.
//
//   ui::Register(router, "/monitoring");   // or "" without a prefix
//
// Everything lies in the program, packed at build time (gzip and brotli): an answer costs a copy.
// Files whose name has a hash may be kept for ever; the rest is asked for again by ETag. The page
// gets its prefix as <base href>, so it needs no inline script and the same files serve anywhere.
// Unknown addresses stay the router's: no page pretends to be an API.
//
// `prefix` is "" or begins with a slash and does not end with one.
void Register(http::Router& router, const std::string& prefix);

}  // namespace vedette::ui
