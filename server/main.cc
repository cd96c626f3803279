#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/log/log.h"
#include "common/systemd/notify.h"
#include "server/idle_memory.h"
#include "server/options.h"
#include "server/server.h"
#include "server/version.h"

namespace vedette {
namespace {

int Fail(const Status& status) {
  std::fprintf(stderr, "vedette-server: %s\n", std::string(status.message()).c_str());
  return 2;
}

int Main(int argc, char** argv) {
  KeepFewArenas();
  ServerFlags flags;
  const Result<flags::Flags::Outcome> outcome = flags.Parse(argc, argv);
  if (!outcome.ok()) return Fail(outcome.status());
  if (outcome->exit) {
    std::fputs(outcome->text.c_str(), stdout);
    return 0;
  }
  const ServerOptions& options = flags.options();
  const Result<log::Level> level = log::ParseLevel(options.log_level);
  const Result<log::Format> format = log::ParseFormat(options.log_format);
  if (!level.ok()) return Fail(level.status());
  if (!format.ok()) return Fail(format.status());
  log::Init(argv[0], *level, *format);
  log::Info("starting", {{"program", "vedette-server"}, {"version", kVersion}, {"pid", getpid()}});
  for (const std::string& name : flags.ignored()) {
    log::Warn("flag accepted and ignored: it has no meaning here", {{"flag", name}});
  }
  for (const std::string& name : flags.unknown_features()) {
    log::Warn("unknown feature", {{"feature", name}});
  }

  // Signals are taken by this thread alone, one after the other; every other thread, started below,
  // inherits the mask.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const systemd::Notifier notifier = systemd::Notifier::FromEnvironment();
  const pid_t self = getpid();
  Result<std::unique_ptr<Server>> server = Server::Start(flags, [self] { kill(self, SIGTERM); });
  if (!server.ok()) {
    log::Error("cannot start", {{"err", server.status().message()}});
    return 1;
  }
  notifier.Ready("serving");
  // Woken three times in the watchdog's time. Alive() takes the locks that everything goes through:
  // where one of them is stuck, nobody says that we are alive, and systemd starts us anew.
  constexpr int64_t kTidyMs = 60'000;
  const int64_t wait_ms =
      notifier.watchdog_ms() > 0 ? std::min(notifier.watchdog_ms() / 3, kTidyMs) : kTidyMs;
  const timespec wait{.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1'000'000};
  int64_t waited_ms = 0;
  for (;;) {
    const int received = sigtimedwait(&signals, nullptr, &wait);
    if (received < 0) {
      if ((waited_ms += wait_ms) >= kTidyMs) {
        waited_ms = 0;
        (void)GiveBackIdleMemory();
      }
      if (notifier.watchdog_ms() > 0 && (*server)->Alive()) notifier.Alive();
      continue;
    }
    if (received == SIGHUP) {
      notifier.Reloading();
      const Status status = (*server)->Reload();
      notifier.Ready(status.ok() ? "serving" : "serving; the last reload failed");
      if (!status.ok()) {
        log::Error("reload failed; the old configuration stays", {{"err", status.message()}});
      }
      continue;
    }
    if (received == SIGUSR1) {
      // Turns debug lines on and off without a restart.
      log::SetLevel(log::level() == log::Level::kDebug ? *level : log::Level::kDebug);
      continue;
    }
    notifier.Stopping();
    log::Info("stopping", {{"signal", received == SIGINT ? "SIGINT" : "SIGTERM"}});
    break;
  }
  (*server)->Stop();
  log::Info("stopped");
  return 0;
}

}  // namespace
}  // namespace vedette

int main(int argc, char** argv) { return vedette::Main(argc, argv); }
