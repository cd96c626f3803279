#include "ctl/verb.h"

#include <CLI/CLI.hpp>

#include <utility>

namespace vedette::ctl {

CLI::App* AddVerb(std::function<Status()>& verb, CLI::App& parent, const char* name,
                  const char* help, std::function<Status()> run) {
  CLI::App* to = parent.add_subcommand(name, help);
  to->callback([&verb, run = std::move(run)] { verb = run; });
  return to;
}

}  // namespace vedette::ctl
