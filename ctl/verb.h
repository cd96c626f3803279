#pragma once

#include <functional>

#include "common/base/status.h"

namespace CLI {
class App;
}

namespace vedette::ctl {

// Adds a verb under `parent`: once it has been typed, `verb` is `run`. `verb` outlives the parse.
CLI::App* AddVerb(std::function<Status()>& verb, CLI::App& parent, const char* name,
                  const char* help, std::function<Status()> run);

}  // namespace vedette::ctl
