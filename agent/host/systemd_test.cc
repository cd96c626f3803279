#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "agent/collector/collector.h"
#include "agent/host/host.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/model/metric_family.h"

namespace vedette::agent {
namespace {

// A daemon that answers on a socket of its own as the bus and systemd do, and counts what it is asked.
class FakeSystemd {
 public:
  struct Unit {
    std::string name, active = "active", load = "loaded";
    std::map<std::string, std::string> texts;
    std::map<std::string, uint32_t> numbers;      // 'u'
    std::map<std::string, uint64_t> big_numbers;  // 't'
  };

  FakeSystemd() {
    // A socket's path has 107 bytes, fewer than a test's own directory may have.
    char folder[] = "/tmp/vedette-bus-XXXXXX";
    EXPECT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    socket_ = folder_ + "/bus";
    manager.texts = {{"Version", "252.39-1~deb12u1"}, {"Virtualization", ""},
                     {"SystemState", "running"}};
    manager.big_numbers = {{"UnitsLoadTimestampMonotonic", 7}};
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listening_, 8), 0);
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeSystemd() {
    stopping_ = true;
    thread_.join();
    close(listening_);
    unlink(socket_.c_str());
    rmdir(folder_.c_str());
  }

  const std::string& socket() const { return socket_; }
  // Ends the connection that stands, as a bus that is started anew does.
  void HangUp() {
    hang_up_ = true;
    while (hang_up_) std::this_thread::yield();
  }
  int connections() const { return connections_; }
  // How often a property was asked for since the last time.
  int Asked(const std::string& property) {
    MutexLock lock(mu_);
    return std::exchange(asked_[property], 0);
  }
  template <typename Change>
  void Set(Change change) {
    MutexLock lock(mu_);
    change(*this);
  }

  // Changed in Set alone.
  Unit manager;
  std::vector<Unit> units;

 private:
  static std::string PathOf(std::string_view name) {
    std::string path = "/org/freedesktop/systemd1/unit/";
    for (const char c : name) path += c == '.' || c == '-' ? '_' : c;
    return path;
  }

  void Serve() {
    while (!stopping_) {
      pollfd ready = {.fd = listening_, .events = POLLIN, .revents = 0};
      if (poll(&ready, 1, 20) <= 0) continue;
      const int fd = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0) continue;
      ++connections_;
      Speak(fd);
    }
  }

  void Speak(int fd) {
    sd_bus* bus = nullptr;
    sd_id128_t id = {};
    sd_id128_randomize(&id);
    sd_bus_new(&bus);
    sd_bus_set_fd(bus, fd, fd);
    sd_bus_set_server(bus, 1, id);
    sd_bus_start(bus);
    sd_bus_add_filter(bus, nullptr, &FakeSystemd::OnMessage, this);
    while (!stopping_ && !hang_up_) {
      const int handled = sd_bus_process(bus, nullptr);
      if (handled < 0) break;
      if (handled == 0) sd_bus_wait(bus, 20'000);
    }
    sd_bus_close_unref(bus);
    hang_up_ = false;
  }

  static int OnMessage(sd_bus_message* m, void* data, sd_bus_error*) {
    auto& self = *static_cast<FakeSystemd*>(data);
    MutexLock lock(self.mu_);
    if (sd_bus_message_is_method_call(m, nullptr, "Hello") > 0) {
      return sd_bus_reply_method_return(m, "s", ":1.1");
    }
    if (sd_bus_message_is_method_call(m, nullptr, "ListUnits") > 0) return self.ReplyUnits(m);
    if (sd_bus_message_is_method_call(m, nullptr, "Get") > 0) return self.ReplyProperty(m);
    return 0;
  }

  int ReplyUnits(sd_bus_message* m) VEDETTE_REQUIRES(mu_) {
    sd_bus_message* reply = nullptr;
    sd_bus_message_new_method_return(m, &reply);
    sd_bus_message_open_container(reply, 'a', "(ssssssouso)");
    for (const Unit& u : units) {
      sd_bus_message_append(reply, "(ssssssouso)", u.name.c_str(), "", u.load.c_str(),
                            u.active.c_str(), "", "", PathOf(u.name).c_str(), 0, "", "/");
    }
    sd_bus_message_close_container(reply);
    const int sent = sd_bus_send(nullptr, reply, nullptr);
    sd_bus_message_unref(reply);
    return sent < 0 ? sent : 1;
  }

  int ReplyProperty(sd_bus_message* m) VEDETTE_REQUIRES(mu_) {
    const char *interface = nullptr, *property = nullptr;
    if (sd_bus_message_read(m, "ss", &interface, &property) < 0) return 0;
    ++asked_[property];
    const Unit* unit = nullptr;
    const std::string_view path = sd_bus_message_get_path(m);
    if (path == "/org/freedesktop/systemd1") unit = &manager;
    for (const Unit& u : units) {
      if (PathOf(u.name) == path) unit = &u;
    }
    if (unit != nullptr) {
      if (const auto at = unit->texts.find(property); at != unit->texts.end()) {
        return sd_bus_reply_method_return(m, "v", "s", at->second.c_str());
      }
      if (const auto at = unit->numbers.find(property); at != unit->numbers.end()) {
        return sd_bus_reply_method_return(m, "v", "u", at->second);
      }
      if (const auto at = unit->big_numbers.find(property); at != unit->big_numbers.end()) {
        return sd_bus_reply_method_return(m, "v", "t", at->second);
      }
    }
    return sd_bus_reply_method_errorf(m, "org.freedesktop.DBus.Error.UnknownProperty", "none");
  }

  std::string folder_, socket_;
  int listening_ = -1;
  std::thread thread_;
  std::atomic<bool> stopping_ = false, hang_up_ = false;
  std::atomic<int> connections_ = 0;
  Mutex mu_;
  std::map<std::string, int> asked_ VEDETTE_GUARDED_BY(mu_);
};

class SystemdTest : public ::testing::Test {
 protected:
  SystemdTest() {
    HostOptions options;
    options.dbus_socket = systemd_.socket();
    options.systemd_restarts = options.systemd_tasks = options.systemd_start_time = true;
    auto collectors = MakeHostCollectors(options);
    EXPECT_TRUE(collectors.ok());
    for (auto& c : *collectors) {
      if (c->name() == "systemd") collector_ = std::move(c);
    }
    systemd_.Set([](FakeSystemd& s) {
      s.units = {{.name = "shop.service",
                  .texts = {{"Type", "notify"}},
                  .numbers = {{"NRestarts", 3}},
                  .big_numbers = {{"TasksCurrent", 5},
                                  {"TasksMax", UINT64_MAX},
                                  {"ActiveEnterTimestamp", 1'700'000'000'500'000}}},
                 {.name = "old.service",
                  .active = "failed",
                  .texts = {{"Type", "oneshot"}},
                  .numbers = {{"NRestarts", 0}},
                  .big_numbers = {{"ActiveEnterTimestamp", 9}}},
                 {.name = "daily.timer",
                  .big_numbers = {{"LastTriggerUSec", 2'500'000}, {"ActiveEnterTimestamp", 4}}},
                 {.name = "ssh.socket",
                  .numbers = {{"NAccepted", 4}, {"NConnections", 1}, {"NRefused", 2}},
                  .big_numbers = {{"ActiveEnterTimestamp", 4'000'000}}},
                 {.name = "gone.service", .active = "inactive", .load = "not-found"},
                 {.name = "sda.device"}};
    });
  }

  std::string Collect() {
    MetricSink sink;
    const Status status = collector_->Collect(sink);
    std::string out = status.ok() ? "" : status.ToString() + "\n";
    for (const MetricFamily& f : sink.Take()) {
      for (const FamilySample& s : f.samples) {
        if (s.value == 0 && f.name == "node_systemd_unit_state") continue;
        StrAppend(out, s.labels.ToString(), " ", s.value, "\n");
      }
    }
    return out;
  }

  FakeSystemd systemd_;
  std::unique_ptr<Collector> collector_;
};

constexpr char kAll[] =
    R"({__name__="node_systemd_version", version="252.39-1~deb12u1"} 252.39
{__name__="node_systemd_virtualization_info", virtualization_type="none"} 1
{__name__="node_systemd_units", state="active"} 4
{__name__="node_systemd_units", state="activating"} 0
{__name__="node_systemd_units", state="deactivating"} 0
{__name__="node_systemd_units", state="inactive"} 1
{__name__="node_systemd_units", state="failed"} 1
{__name__="node_systemd_system_running"} 1
{__name__="node_systemd_unit_state", name="shop.service", state="active", type="notify"} 1
{__name__="node_systemd_unit_state", name="old.service", state="failed", type="oneshot"} 1
{__name__="node_systemd_unit_state", name="daily.timer", state="active"} 1
{__name__="node_systemd_unit_state", name="ssh.socket", state="active"} 1
{__name__="node_systemd_service_restart_total", name="shop.service"} 3
{__name__="node_systemd_service_restart_total", name="old.service"} 0
{__name__="node_systemd_unit_tasks_current", name="shop.service"} 5
{__name__="node_systemd_unit_start_time_seconds", name="shop.service"} 1700000000.5
{__name__="node_systemd_unit_start_time_seconds", name="old.service"} 0
{__name__="node_systemd_unit_start_time_seconds", name="daily.timer"} 4e-06
{__name__="node_systemd_unit_start_time_seconds", name="ssh.socket"} 4
{__name__="node_systemd_timer_last_trigger_seconds", name="daily.timer"} 2.5
{__name__="node_systemd_socket_accepted_connections_total", name="ssh.socket"} 4
{__name__="node_systemd_socket_current_connections", name="ssh.socket"} 1
{__name__="node_systemd_socket_refused_connections_total", name="ssh.socket"} 2
)";

TEST_F(SystemdTest, ShowsWhatSystemdSays) { EXPECT_EQ(Collect(), kAll); }

TEST_F(SystemdTest, WhatDoesNotChangeIsAskedOnce) {
  EXPECT_EQ(Collect(), kAll);
  EXPECT_EQ(systemd_.Asked("Type"), 2);
  EXPECT_EQ(Collect(), kAll);
  EXPECT_EQ(systemd_.Asked("Type"), 0);
  EXPECT_EQ(systemd_.connections(), 1);
  // A reload may have brought new unit files.
  systemd_.Set([](FakeSystemd& s) {
    s.manager.big_numbers["UnitsLoadTimestampMonotonic"] = 8;
    s.units[0].texts["Type"] = "simple";
  });
  EXPECT_NE(Collect().find(R"(name="shop.service", state="active", type="simple"} 1)"),
            std::string::npos);
  EXPECT_EQ(systemd_.Asked("Type"), 2);
}

TEST_F(SystemdTest, ASystemdThatDoesNotSayWhenItReloadedIsAskedEachTime) {
  systemd_.Set([](FakeSystemd& s) { s.manager.big_numbers.clear(); });
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Collect(), kAll);
    EXPECT_EQ(systemd_.Asked("Type"), 2);
  }
}

TEST_F(SystemdTest, ABusThatWasStartedAnewIsFoundAgain) {
  EXPECT_EQ(Collect(), kAll);
  systemd_.HangUp();
  EXPECT_EQ(Collect(), kAll);
  EXPECT_EQ(systemd_.connections(), 2);
}

// More questions than a connection may have open at one time.
TEST_F(SystemdTest, AnyNumberOfUnitsIsAskedFor) {
  systemd_.Set([](FakeSystemd& s) {
    s.units.clear();
    for (int i = 0; i < 300; ++i) {
      s.units.push_back({.name = StrCat("unit", i, ".service"), .texts = {{"Type", "simple"}}});
    }
  });
  const std::string all = Collect();
  for (int i = 0; i < 300; ++i) {
    EXPECT_NE(all.find(StrCat("name=\"unit", i, ".service\", state=\"active\", type=\"simple\"} 1")),
              std::string::npos)
        << i;
  }
}

}  // namespace
}  // namespace vedette::agent
