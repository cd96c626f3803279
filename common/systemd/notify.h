#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vedette::systemd {

// Notifier speaks sd_notify(3) to the service manager that started us: one datagram a state, to the
// socket in $NOTIFY_SOCKET. Without one (a shell, a container) everything here does nothing.
//
//   Notifier notifier = Notifier::FromEnvironment();
//   notifier.Ready("serving on :9090");
//   ... every notifier.watchdog_ms() / 3, where that is not 0, and only while all is well:
//   notifier.Alive();
//
// Thread-compatible.
class Notifier {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment, so
  // that no child speaks for us.
  static Notifier FromEnvironment();

  // False where there is nobody to tell, or the datagram could not be sent.
  bool Ready(std::string_view status) const;
  bool Reloading() const;  // Ready() says that it is over.
  bool Stopping() const;
  bool Alive() const;

  // Killed when it hears nothing for so long; 0: nobody waits.
  int64_t watchdog_ms() const { return watchdog_ms_; }

 private:
  bool Send(std::string_view text) const;

  std::string socket_;  // A path, or '@' and a name of the abstract namespace.
  int64_t watchdog_ms_ = 0;
};

}  // namespace vedette::systemd
