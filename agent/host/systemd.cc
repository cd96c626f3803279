#include <systemd/sd-bus.h>

#include <array>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/host/bus.h"
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
// What a unit's type depends on is read from disk at a reload alone; older systemds do not say when
// that was, and are asked each time.
constexpr char kReloaded[] = "UnitsLoadTimestampMonotonic";

Result<Bus> OpenBus(const HostOptions& options) {
  return Bus::Open(options.systemd_private ? "/run/systemd/private" : options.dbus_socket,
                   options.systemd_private);
}

struct Unit {
  std::string name, load_state, active_state, path;
};

// What is kept between two runs: the connection, and what does not change.
struct Systemd {
  std::unique_ptr<Bus> bus;
  double reloaded_usec = 0;
  std::unordered_map<std::string, std::string> types;  // By unit.
};

Result<std::vector<Unit>> ListUnits(const Bus& bus) {
  VEDETTE_ASSIGN_OR_RETURN(const BusMessage reply,
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

constexpr char kUnit[] = "org.freedesktop.systemd1.Unit";
constexpr char kService[] = "org.freedesktop.systemd1.Service";
constexpr char kMount[] = "org.freedesktop.systemd1.Mount";
constexpr char kTimer[] = "org.freedesktop.systemd1.Timer";
constexpr char kSocket[] = "org.freedesktop.systemd1.Socket";

// A property of some units that is a family.
struct UnitProperty {
  std::string_view suffix;  // Of the units that have it; "" for all.
  const char* interface;
  const char* property;
  char type;
  const char* family;
  MetricType kind;
  const char* help;
  bool HostOptions::* wanted;  // Null: always.
  double unit = 1;             // What the number is divided by.
};

constexpr UnitProperty kProperties[] = {
    {".service", kService, "NRestarts", 'u', "node_systemd_service_restart_total",
     MetricType::kCounter, "Service unit count of Restart triggers",
     &HostOptions::systemd_restarts},
    {".service", kService, "TasksCurrent", 't', "node_systemd_unit_tasks_current",
     MetricType::kGauge, "Current number of tasks per Systemd unit", &HostOptions::systemd_tasks},
    {".service", kService, "TasksMax", 't', "node_systemd_unit_tasks_max", MetricType::kGauge,
     "Maximum number of tasks per Systemd unit", &HostOptions::systemd_tasks},
    {"", kUnit, "ActiveEnterTimestamp", 't', "node_systemd_unit_start_time_seconds",
     MetricType::kGauge, "Start time of the unit since unix epoch in seconds.",
     &HostOptions::systemd_start_time, 1e6},
    {".timer", kTimer, "LastTriggerUSec", 't', "node_systemd_timer_last_trigger_seconds",
     MetricType::kGauge, "Seconds since epoch of last trigger.", nullptr, 1e6},
    {".socket", kSocket, "NAccepted", 'u', "node_systemd_socket_accepted_connections_total",
     MetricType::kCounter, "Total number of accepted socket connections", nullptr},
    {".socket", kSocket, "NConnections", 'u', "node_systemd_socket_current_connections",
     MetricType::kGauge, "Current number of socket connections", nullptr},
    // A gauge, whatever its name says: so the exporter has it.
    {".socket", kSocket, "NRefused", 'u', "node_systemd_socket_refused_connections_total",
     MetricType::kGauge, "Total number of refused socket connections", nullptr},
};

// The kind of a unit that has a type: a service's "simple", a mount's "ext4".
const char* TypedInterface(std::string_view name) {
  if (name.ends_with(".service")) return kService;
  return name.ends_with(".mount") ? kMount : nullptr;
}

// A unit's question about a property, by its index in kProperties; kType asks for the type.
constexpr size_t kType = std::size(kProperties);
struct Asked {
  const Unit* unit;
  size_t property;
};
struct UnitQuestions {
  std::vector<Asked> asked;
  std::vector<BusQuestion> questions;  // As many.
};

UnitQuestions QuestionsOf(const std::vector<const Unit*>& units, const Systemd& systemd,
                          const HostOptions& options) {
  UnitQuestions out;
  for (const Unit* unit : units) {
    const char* typed = TypedInterface(unit->name);
    if (typed != nullptr && !systemd.types.contains(unit->name)) {
      out.asked.push_back({unit, kType});
      out.questions.push_back({unit->path.c_str(), typed, "Type", 's'});
    }
    for (size_t i = 0; i < std::size(kProperties); ++i) {
      const UnitProperty& p = kProperties[i];
      if (!unit->name.ends_with(p.suffix)) continue;
      if (p.wanted != nullptr && !(options.*p.wanted)) continue;
      out.asked.push_back({unit, i});
      out.questions.push_back({unit->path.c_str(), p.interface, p.property, p.type});
    }
  }
  return out;
}

void AddUnits(const std::vector<const Unit*>& units, const UnitQuestions& answers,
              Systemd& systemd, MetricSink& sink) {
  for (size_t i = 0; i < answers.asked.size(); ++i) {
    const Asked& asked = answers.asked[i];
    if (asked.property != kType || !answers.questions[i].answered) continue;
    systemd.types[asked.unit->name] = answers.questions[i].text;
  }
  sink.Family("node_systemd_unit_state", MetricType::kGauge, "Systemd unit");
  for (const Unit* unit : units) {
    const auto type = systemd.types.find(unit->name);
    const auto type_text =
        type == systemd.types.end() ? std::string_view() : std::string_view(type->second);
    for (const char* state : kStates) {
      sink.Add({{"name", unit->name}, {"state", state}, {"type", type_text}},
               unit->active_state == state ? 1 : 0);
    }
  }
  // All ones: not counted, or no limit.
  constexpr double kNone = 18446744073709551615.0;
  for (size_t i = 0; i < answers.asked.size(); ++i) {
    const Asked& asked = answers.asked[i];
    if (asked.property == kType || !answers.questions[i].answered) continue;
    const UnitProperty& p = kProperties[asked.property];
    double value = answers.questions[i].number;
    if (p.wanted == &HostOptions::systemd_tasks && value == kNone) continue;
    if (p.wanted == &HostOptions::systemd_start_time && asked.unit->active_state != "active") {
      value = 0;
    }
    sink.Family(p.family, p.kind, p.help);
    sink.Add({{"name", asked.unit->name}}, value / p.unit);
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

// Forgets the types of units where they may have changed.
void CheckTypes(Systemd& systemd, const std::vector<Unit>& units, const BusQuestion& reloaded) {
  if (!reloaded.answered || reloaded.number != systemd.reloaded_usec) systemd.types.clear();
  systemd.reloaded_usec = reloaded.number;
  // One that went away may come back as another.
  std::unordered_set<std::string_view> there;
  for (const Unit& unit : units) there.insert(unit.name);
  std::erase_if(systemd.types, [&](const auto& type) { return !there.contains(type.first); });
}

// Shows nothing before the last answer is there.
Status AskSystemd(Systemd& systemd, const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Unit> units, ListUnits(*systemd.bus));
  BusQuestion manager[] = {{kSystemdPath, kManager, "Version", 's'},
                           {kSystemdPath, kManager, "Virtualization", 's'},
                           {kSystemdPath, kManager, "SystemState", 's'},
                           {kSystemdPath, kManager, kReloaded, 't'}};
  const auto& [version, virtualization, state, reloaded] = manager;
  VEDETTE_RETURN_IF_ERROR(systemd.bus->Ask(kSystemd, manager));
  if (!state.answered) return Unavailable("systemd does not say its SystemState");
  CheckTypes(systemd, units, reloaded);
  std::vector<const Unit*> shown;
  for (const Unit& unit : units) {
    if (unit.load_state == "loaded" && host.systemd_units.Passes(unit.name)) shown.push_back(&unit);
  }
  UnitQuestions about_units = QuestionsOf(shown, systemd, host.options);
  VEDETTE_RETURN_IF_ERROR(systemd.bus->Ask(kSystemd, about_units.questions));

  if (version.answered) AddVersion(version.text, sink);
  if (virtualization.answered) {
    const std::string& kind = virtualization.text;
    sink.Family("node_systemd_virtualization_info", MetricType::kGauge,
                "Detected virtualization technology");
    sink.Add({{"virtualization_type", kind.empty() ? "none" : kind}}, 1);
  }
  sink.Family("node_systemd_units", MetricType::kGauge, "Summary of systemd unit states");
  for (const char* name : kStates) {
    double count = 0;
    for (const Unit& unit : units) count += unit.active_state == name ? 1 : 0;
    sink.Add({{"state", name}}, count);
  }
  sink.Gauge("node_systemd_system_running",
             "Whether the system is operational (see 'systemctl is-system-running')",
             state.text == "running" ? 1 : 0);
  AddUnits(shown, about_units, systemd, sink);
  return {};
}

// The connection is kept: to log in to the bus costs more than most questions.
Status CollectSystemd(const Host& host, Systemd& systemd, MetricSink& sink) {
  const bool kept = systemd.bus != nullptr;
  if (!kept) {
    VEDETTE_ASSIGN_OR_RETURN(Bus bus, OpenBus(host.options));
    systemd.bus = std::make_unique<Bus>(std::move(bus));
  }
  Status status = AskSystemd(systemd, host, sink);
  if (status.ok()) return status;
  systemd = {};
  // The bus was started anew, perhaps. What hangs is not asked twice.
  const bool again = kept && status.code() == StatusCode::kUnavailable;
  return again ? CollectSystemd(host, systemd, sink) : status;
}

// Sessions by seat, by whether they are remote, by type and class.
Status CollectLogind(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const Bus bus, OpenBus(host.options));
  const auto names_of = [&](const char* method,
                            const char* signature) -> Result<std::vector<std::string>> {
    VEDETTE_ASSIGN_OR_RETURN(const BusMessage reply,
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
  Add(out, {"systemd", "D-Bus: systemd's units and their properties"},
      [host, systemd = std::make_shared<Systemd>()](MetricSink& sink) {
        return CollectSystemd(*host, *systemd, sink);
      });
  Add(out, {"logind", "D-Bus: logind's sessions", kOff}, host, CollectLogind);
}

}  // namespace vedette::agent
