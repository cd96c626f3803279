#include <systemd/sd-bus.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr char kSystemd[] = "org.freedesktop.systemd1";
constexpr char kSystemdPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kLogin[] = "org.freedesktop.login1";
constexpr char kLoginPath[] = "/org/freedesktop/login1";
constexpr char kLoginManager[] = "org.freedesktop.login1.Manager";
constexpr uint64_t kCallUsec = 4'000'000;

struct BusCloser {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
};
struct MessageUnref {
  void operator()(sd_bus_message* m) const { sd_bus_message_unref(m); }
};
using MessagePtr = std::unique_ptr<sd_bus_message, MessageUnref>;

// Bus is one connection: to the system's bus, or to systemd itself where there is none.
class Bus {
 public:
  static Result<Bus> Open(const HostOptions& options) {
    const std::string socket =
        options.systemd_private ? "/run/systemd/private" : options.dbus_socket;
    if (access(socket.c_str(), F_OK) != 0) {
      return NotFound(StrCat(socket, ": there is no D-Bus here"));
    }
    sd_bus* raw = nullptr;
    if (sd_bus_new(&raw) < 0) return Internal("D-Bus: out of memory");
    Bus bus(raw, options.systemd_private);
    int error = sd_bus_set_address(raw, ("unix:path=" + socket).c_str());
    if (error >= 0) error = sd_bus_set_bus_client(raw, options.systemd_private ? 0 : 1);
    if (error >= 0) error = sd_bus_set_method_call_timeout(raw, kCallUsec);
    if (error >= 0) error = sd_bus_start(raw);
    if (error < 0) return Unavailable(StrCat("D-Bus at ", socket, ": ", std::strerror(-error)));
    return bus;
  }

  Result<MessagePtr> Call(const char* service, const char* path, const char* interface,
                          const char* method) const {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message* reply = nullptr;
    const int code = sd_bus_call_method(bus_.get(), private_ ? nullptr : service, path, interface,
                                        method, &error, &reply, "");
    return Take(code, error, reply, method);
  }

  Result<MessagePtr> Property(const char* service, const char* path, const char* interface,
                              const char* name, const char* type) const {
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message* reply = nullptr;
    const int code = sd_bus_get_property(bus_.get(), private_ ? nullptr : service, path, interface,
                                         name, &error, &reply, type);
    return Take(code, error, reply, name);
  }

  Result<std::string> Text(const char* path, const char* interface, const char* name) const {
    VEDETTE_ASSIGN_OR_RETURN(const MessagePtr m, Property(kSystemd, path, interface, name, "s"));
    const char* text = nullptr;
    if (sd_bus_message_read(m.get(), "s", &text) < 0) return DataLoss(StrCat(name, " is no text"));
    return std::string(text);
  }

  // An unsigned number of the D-Bus type 'u' or 't'.
  Result<double> Number(const char* path, const char* interface, const char* name,
                        char type) const {
    const char signature[2] = {type, 0};
    VEDETTE_ASSIGN_OR_RETURN(const MessagePtr m,
                             Property(kSystemd, path, interface, name, signature));
    uint32_t narrow = 0;
    uint64_t wide = 0;
    const int code = type == 'u' ? sd_bus_message_read(m.get(), "u", &narrow)
                                 : sd_bus_message_read(m.get(), "t", &wide);
    if (code < 0) return DataLoss(StrCat(name, " is no number"));
    return type == 'u' ? static_cast<double>(narrow) : static_cast<double>(wide);
  }

 private:
  Bus(sd_bus* bus, bool is_private) : bus_(bus), private_(is_private) {}

  static Result<MessagePtr> Take(int code, sd_bus_error& error, sd_bus_message* reply,
                                 const char* what) {
    MessagePtr owned(reply);
    if (code >= 0) return owned;
    const std::string reason = error.message != nullptr ? error.message : std::strerror(-code);
    sd_bus_error_free(&error);
    return Unavailable(StrCat(what, ": ", reason));
  }

  std::unique_ptr<sd_bus, BusCloser> bus_;
  bool private_;
};

struct Unit {
  std::string name, load_state, active_state, path;
};

Result<std::vector<Unit>> ListUnits(const Bus& bus) {
  VEDETTE_ASSIGN_OR_RETURN(const MessagePtr reply,
                           bus.Call(kSystemd, kSystemdPath, kManager, "ListUnits"));
  sd_bus_message* m = reply.get();
  std::vector<Unit> units;
  if (sd_bus_message_enter_container(m, 'a', "(ssssssouso)") < 0) {
    return DataLoss("ListUnits: not the answer that systemd gives");
  }
  for (;;) {
    const char *name, *description, *load, *active, *sub, *following, *path, *job_type, *job_path;
    uint32_t job = 0;
    const int got = sd_bus_message_read(m, "(ssssssouso)", &name, &description, &load, &active,
                                        &sub, &following, &path, &job, &job_type, &job_path);
    if (got < 0) return DataLoss("ListUnits: not the answer that systemd gives");
    if (got == 0) return units;
    units.push_back({name, load, active, path});
  }
}

constexpr std::array<const char*, 5> kStates = {"active", "activating", "deactivating", "inactive",
                                                "failed"};

void AddUnit(const Bus& bus, const HostOptions& options, const Unit& unit, MetricSink& sink) {
  const std::string_view name = unit.name;
  const char* path = unit.path.c_str();
  const bool service = name.ends_with(".service");
  constexpr char kService[] = "org.freedesktop.systemd1.Service";
  const auto add = [&](const char* family, MetricType type, const char* help, double value) {
    sink.Family(family, type, help);
    sink.Add({{"name", name}}, value);
  };
  using enum MetricType;
  std::string type;
  if (service) {
    if (const auto text = bus.Text(path, kService, "Type"); text.ok()) type = *text;
  } else if (name.ends_with(".mount")) {
    const auto text = bus.Text(path, "org.freedesktop.systemd1.Mount", "Type");
    if (text.ok()) type = *text;
  }
  sink.Family("node_systemd_unit_state", kGauge, "Systemd unit");
  for (const char* state : kStates) {
    sink.Add({{"name", name}, {"state", state}, {"type", type}},
             unit.active_state == state ? 1 : 0);
  }
  if (service && options.systemd_restarts) {
    if (const auto n = bus.Number(path, kService, "NRestarts", 'u'); n.ok()) {
      add("node_systemd_service_restart_total", kCounter,
          "Service unit count of Restart triggers", *n);
    }
  }
  if (service && options.systemd_tasks) {
    // All ones: not counted, or no limit.
    constexpr double kNone = 18446744073709551615.0;
    const auto now = bus.Number(path, kService, "TasksCurrent", 't');
    const auto max = bus.Number(path, kService, "TasksMax", 't');
    if (now.ok() && *now != kNone) {
      add("node_systemd_unit_tasks_current", kGauge, "Current number of tasks per Systemd unit",
          *now);
    }
    if (max.ok() && *max != kNone) {
      add("node_systemd_unit_tasks_max", kGauge, "Maximum number of tasks per Systemd unit", *max);
    }
  }
  if (options.systemd_start_time) {
    double seconds = 0;
    if (unit.active_state == "active") {
      const auto usec =
          bus.Number(path, "org.freedesktop.systemd1.Unit", "ActiveEnterTimestamp", 't');
      if (!usec.ok()) return;
      seconds = *usec / 1e6;
    }
    add("node_systemd_unit_start_time_seconds", kGauge,
        "Start time of the unit since unix epoch in seconds.", seconds);
  }
  if (name.ends_with(".timer")) {
    const auto usec = bus.Number(path, "org.freedesktop.systemd1.Timer", "LastTriggerUSec", 't');
    if (usec.ok()) {
      add("node_systemd_timer_last_trigger_seconds", kGauge,
          "Seconds since epoch of last trigger.", *usec / 1e6);
    }
  }
  if (name.ends_with(".socket")) {
    constexpr char kSocket[] = "org.freedesktop.systemd1.Socket";
    const auto accepted = bus.Number(path, kSocket, "NAccepted", 'u');
    const auto current = bus.Number(path, kSocket, "NConnections", 'u');
    const auto refused = bus.Number(path, kSocket, "NRefused", 'u');
    if (accepted.ok()) {
      add("node_systemd_socket_accepted_connections_total", kCounter,
          "Total number of accepted socket connections", *accepted);
    }
    if (current.ok()) {
      add("node_systemd_socket_current_connections", kGauge,
          "Current number of socket connections", *current);
    }
    if (refused.ok()) {
      // A gauge, whatever its name says: so the exporter has it.
      add("node_systemd_socket_refused_connections_total", kGauge,
          "Total number of refused socket connections", *refused);
    }
  }
}

// "252.39-1~deb12u1" is version 252.39.
void AddVersion(const std::string& version, MetricSink& sink) {
  const size_t digit = version.find_first_of("0123456789");
  if (digit == std::string::npos) return;
  size_t end = version.find_first_not_of("0123456789", digit);
  if (end != std::string::npos && version[end] == '.') {
    end = version.find_first_not_of("0123456789", end + 1);
  }
  sink.Family("node_systemd_version", MetricType::kGauge, "Detected systemd version");
  sink.Add({{"version", version}},
           Real(std::string_view(version).substr(digit, end - digit)).value_or(0));
}

Status CollectSystemd(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const Bus bus, Bus::Open(host.options));
  if (const auto version = bus.Text(kSystemdPath, kManager, "Version"); version.ok()) {
    AddVersion(*version, sink);
  }
  if (const auto kind = bus.Text(kSystemdPath, kManager, "Virtualization"); kind.ok()) {
    sink.Family("node_systemd_virtualization_info", MetricType::kGauge,
                "Detected virtualization technology");
    sink.Add({{"virtualization_type", kind->empty() ? "none" : *kind}}, 1);
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Unit> units, ListUnits(bus));
  sink.Family("node_systemd_units", MetricType::kGauge, "Summary of systemd unit states");
  for (const char* state : kStates) {
    double count = 0;
    for (const Unit& unit : units) count += unit.active_state == state ? 1 : 0;
    sink.Add({{"state", state}}, count);
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::string state,
                           bus.Text(kSystemdPath, kManager, "SystemState"));
  sink.Gauge("node_systemd_system_running",
             "Whether the system is operational (see 'systemctl is-system-running')",
             state == "running" ? 1 : 0);
  for (const Unit& unit : units) {
    if (unit.load_state == "loaded" && host.systemd_units.Passes(unit.name)) {
      AddUnit(bus, host.options, unit, sink);
    }
  }
  return {};
}

// Sessions by seat, by whether they are remote, by type and class.
Status CollectLogind(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const Bus bus, Bus::Open(host.options));
  const auto names_of = [&](const char* method,
                            const char* signature) -> Result<std::vector<std::string>> {
    VEDETTE_ASSIGN_OR_RETURN(const MessagePtr reply,
                             bus.Call(kLogin, kLoginPath, kLoginManager, method));
    sd_bus_message* m = reply.get();
    std::vector<std::string> out;
    if (sd_bus_message_enter_container(m, 'a', signature) < 0) {
      return DataLoss(StrCat(method, ": not the answer that logind gives"));
    }
    while (sd_bus_message_enter_container(m, 'r', nullptr) > 0) {
      const char* name = nullptr;
      const char* path = nullptr;
      const bool session = std::string_view(method) == "ListSessions";
      const int code = session ? sd_bus_message_skip(m, "suss") : sd_bus_message_read(m, "s", &name);
      if (code < 0 || sd_bus_message_read(m, "o", &path) < 0) break;
      out.emplace_back(session ? path : name);
      if (sd_bus_message_exit_container(m) < 0) break;
    }
    return out;
  };
  VEDETTE_ASSIGN_OR_RETURN(auto seats, names_of("ListSeats", "(so)"));
  VEDETTE_ASSIGN_OR_RETURN(const auto sessions, names_of("ListSessions", "(susso)"));
  seats.emplace_back();  // Sessions without a seat.
  static constexpr const char* kTypes[] = {"other", "unspecified", "tty", "x11",
                                           "wayland", "mir", "web"};
  static constexpr const char* kClasses[] = {"other", "user", "greeter", "lock-screen",
                                             "background"};
  std::map<std::array<std::string, 4>, double> counts;
  const auto known = [](std::string_view text, auto& list) {
    for (const char* one : list) {
      if (text == one) return std::string(one);
    }
    return std::string("other");
  };
  for (const std::string& path : sessions) {
    constexpr char kSession[] = "org.freedesktop.login1.Session";
    const auto text = [&](const char* property) {
      auto m = bus.Property(kLogin, path.c_str(), kSession, property, "s");
      const char* value = nullptr;
      return m.ok() && sd_bus_message_read(m->get(), "s", &value) >= 0 ? std::string(value) : "";
    };
    std::string seat;
    if (auto m = bus.Property(kLogin, path.c_str(), kSession, "Seat", "(so)"); m.ok()) {
      const char *id = nullptr, *object = nullptr;
      if (sd_bus_message_read(m->get(), "(so)", &id, &object) >= 0) seat = id;
    }
    int remote = 0;
    if (auto m = bus.Property(kLogin, path.c_str(), kSession, "Remote", "b"); m.ok()) {
      (void)sd_bus_message_read(m->get(), "b", &remote);
    }
    ++counts[{seat, remote != 0 ? "true" : "false", known(text("Type"), kTypes),
              known(text("Class"), kClasses)}];
  }
  sink.Family("node_logind_sessions", MetricType::kGauge,
              "Number of sessions registered in logind.");
  for (const std::string& seat : seats) {
    for (const char* remote : {"true", "false"}) {
      for (const char* type : kTypes) {
        for (const char* one : kClasses) {
          sink.Add({{"seat", seat}, {"remote", remote}, {"type", type}, {"class", one}},
                   counts[{seat, remote, type, one}]);
        }
      }
    }
  }
  return {};
}

}  // namespace

void AddSystemdCollectors(const HostPtr& host, Collectors& out) {
  // On by default as Debian has it: a unit that failed is what people look for first.
  Add(out, {"systemd", "D-Bus: systemd's units and their properties"}, host, CollectSystemd);
  Add(out, {"logind", "D-Bus: logind's sessions", kOff}, host, CollectLogind);
}

}  // namespace vedette::agent
