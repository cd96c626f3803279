#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/status.h"

struct sd_bus;
struct sd_bus_message;

namespace vedette::agent {

struct BusMessageUnref {
  void operator()(sd_bus_message* m) const;
};
using BusMessage = std::unique_ptr<sd_bus_message, BusMessageUnref>;

// One property to be asked for, and its answer.
struct BusQuestion {
  const char* path;
  const char* interface;
  const char* property;
  char type;  // 's', 'u' or 't', as D-Bus writes them.

  bool answered = false;  // Otherwise the object has no such property, or is gone.
  std::string text = {};  // 's'
  double number = 0;      // 'u' and 't'
};

// Bus is one connection to D-Bus, or to a daemon itself. Every call has a timeout. Not thread-safe.
class Bus {
 public:
  // NOT_FOUND where there is no such socket. `is_private`: there is no bus on it but the daemon itself.
  static Result<Bus> Open(const std::string& socket, bool is_private);

  Result<BusMessage> Call(const char* service, const char* path, const char* interface,
                          const char* method) const;
  Result<BusMessage> Property(const char* service, const char* path, const char* interface,
                              const char* name, const char* type) const;
  Result<std::string> Text(const char* service, const char* path, const char* interface,
                           const char* name) const;

  // Asks all questions, many at a time: to wait for each answer before the next question costs two
  // switches of processes each. Fails if the connection does, or if not all are answered in time.
  Status Ask(const char* service, std::span<BusQuestion> questions) const;

 private:
  struct Closer {
    void operator()(sd_bus* bus) const;
  };

  Bus(sd_bus* bus, bool is_private) : bus_(bus), private_(is_private) {}

  std::unique_ptr<sd_bus, Closer> bus_;
  bool private_;
};

}  // namespace vedette::agent
