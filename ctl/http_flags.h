#pragma once

#include "ctl/http_api.h"

namespace CLI {
class App;
}

namespace vedette::ctl {

// --url, and how to prove who we are: of every verb that talks to a server over HTTP. `api` outlives
// the parse; the verb calls api.FillDefaults() before it uses it.
void AddHttpFlags(CLI::App* to, HttpApi& api);

}  // namespace vedette::ctl
