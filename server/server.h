#pragma once

#include <functional>
#include <memory>

#include "common/base/status.h"
#include "server/options.h"

namespace vedette {

// Server introduces the modules to each other and owns them: storage, engine, rules, alerting,
// discovery, scraping, and the doors. It starts them from the ground up and stops them in the
// opposite order, so that nothing ever calls into something that is gone.
//
//   VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<Server> server, Server::Start(flags, quit));
//   ... until a signal or /-/quit ...
//   server->Stop();
//
// Thread-safe. `flags` outlives it.
class Server {
 public:
  // `quit` is called when someone asks for the end over HTTP. Errors are sentences for the
  // operator: what is wrong with which file, port or folder.
  static Result<std::unique_ptr<Server>> Start(const ServerFlags& flags,
                                               std::function<void()> quit);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Reads every configuration file again. A bad one changes nothing: the old configuration stays,
  // and the error says what is wrong with the new one.
  Status Reload();

  // Comes back, with true, when the storage, the scrapes and the rules still answer. A full disk is no
  // reason to be killed, so it does not matter here.
  bool Alive() const;

  void Stop();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace vedette
