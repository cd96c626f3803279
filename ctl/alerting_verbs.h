#pragma once

#include <functional>
#include <memory>

#include "common/base/status.h"

namespace CLI {
class App;
}

namespace vedette::ctl {

// The verbs about rules and alerts: check, test, routes, alert, silence, rehearse. Their options
// live as long as what is returned; the verb that was typed goes into `verb`.
class AlertingVerbs {
 public:
  AlertingVerbs(CLI::App& app, std::function<Status()>& verb);
  ~AlertingVerbs();

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace vedette::ctl
