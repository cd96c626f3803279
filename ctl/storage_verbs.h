#pragma once

#include <functional>
#include <memory>

#include "common/base/status.h"

namespace CLI {
class App;
}

namespace vedette::ctl {

// The verbs about what is stored: cost, tsdb, snapshot. Their options live as long as what is
// returned; the verb that was typed goes into `verb`.
class StorageVerbs {
 public:
  StorageVerbs(CLI::App& app, std::function<Status()>& verb);
  ~StorageVerbs();

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace vedette::ctl
