#include "agent/host/bus.h"

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "common/base/clock.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr uint64_t kCallUsec = 4'000'000;
// Fewer than the daemon lets a connection have, 128 in the oldest ones.
constexpr size_t kMostAtOnce = 64;

Result<BusMessage> Take(int code, sd_bus_error& error, sd_bus_message* reply, const char* what) {
  BusMessage owned(reply);
  if (code >= 0) return owned;
  const std::string reason = error.message != nullptr ? error.message : std::strerror(-code);
  sd_bus_error_free(&error);
  return Unavailable(StrCat(what, ": ", reason));
}

struct SlotUnref {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};

// A question under way. Its slot goes before the question does: no answer comes after that.
struct UnderWay {
  BusQuestion* question = nullptr;
  size_t* waiting = nullptr;
  std::unique_ptr<sd_bus_slot, SlotUnref> slot;
};

void Read(sd_bus_message* m, BusQuestion& q) {
  const char* text = nullptr;
  uint32_t narrow = 0;
  uint64_t wide = 0;
  switch (q.type) {
    case 's':
      q.answered = sd_bus_message_read(m, "v", "s", &text) >= 0 && text != nullptr;
      if (q.answered) q.text = text;
      break;
    case 'u':
      q.answered = sd_bus_message_read(m, "v", "u", &narrow) >= 0;
      q.number = static_cast<double>(narrow);
      break;
    default:
      q.answered = sd_bus_message_read(m, "v", "t", &wide) >= 0;
      q.number = static_cast<double>(wide);
      break;
  }
}

int OnAnswer(sd_bus_message* m, void* data, sd_bus_error*) {
  auto* under_way = static_cast<UnderWay*>(data);
  --*under_way->waiting;
  // An object that is gone, or of a kind that has no such property, is no failure of the others.
  if (sd_bus_message_is_method_error(m, nullptr) == 0) Read(m, *under_way->question);
  return 0;
}

}  // namespace

void BusMessageUnref::operator()(sd_bus_message* m) const { sd_bus_message_unref(m); }
void Bus::Closer::operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }

Result<Bus> Bus::Open(const std::string& socket, bool is_private) {
  if (access(socket.c_str(), F_OK) != 0) {
    return NotFound(StrCat(socket, ": there is no D-Bus here"));
  }
  sd_bus* raw = nullptr;
  if (sd_bus_new(&raw) < 0) return Internal("D-Bus: out of memory");
  Bus bus(raw, is_private);
  int error = sd_bus_set_address(raw, ("unix:path=" + socket).c_str());
  if (error >= 0) error = sd_bus_set_bus_client(raw, is_private ? 0 : 1);
  if (error >= 0) error = sd_bus_set_method_call_timeout(raw, kCallUsec);
  if (error >= 0) error = sd_bus_start(raw);
  if (error < 0) return Unavailable(StrCat("D-Bus at ", socket, ": ", std::strerror(-error)));
  return bus;
}

Result<BusMessage> Bus::Call(const char* service, const char* path, const char* interface,
                             const char* method) const {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* reply = nullptr;
  const int code = sd_bus_call_method(bus_.get(), private_ ? nullptr : service, path, interface,
                                      method, &error, &reply, "");
  return Take(code, error, reply, method);
}

Result<BusMessage> Bus::Property(const char* service, const char* path, const char* interface,
                                 const char* name, const char* type) const {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* reply = nullptr;
  const int code = sd_bus_get_property(bus_.get(), private_ ? nullptr : service, path, interface,
                                       name, &error, &reply, type);
  return Take(code, error, reply, name);
}

Result<std::string> Bus::Text(const char* service, const char* path, const char* interface,
                              const char* name) const {
  VEDETTE_ASSIGN_OR_RETURN(const BusMessage m, Property(service, path, interface, name, "s"));
  const char* text = nullptr;
  if (sd_bus_message_read(m.get(), "s", &text) < 0) return DataLoss(StrCat(name, " is no text"));
  return std::string(text);
}

Status Bus::Ask(const char* service, std::span<BusQuestion> questions) const {
  const int64_t until = SystemClock().MonotonicNs() / 1000 + static_cast<int64_t>(kCallUsec);
  size_t waiting = 0;
  std::vector<UnderWay> all(questions.size());
  size_t next = 0;
  while (next < questions.size() || waiting > 0) {
    while (next < questions.size() && waiting < kMostAtOnce) {
      BusQuestion& q = questions[next];
      UnderWay& one = all[next++];
      one.question = &q;
      one.waiting = &waiting;
      sd_bus_slot* slot = nullptr;
      const int sent = sd_bus_call_method_async(
          bus_.get(), &slot, private_ ? nullptr : service, q.path,
          "org.freedesktop.DBus.Properties", "Get", OnAnswer, &one, "ss", q.interface, q.property);
      if (sent < 0) return Unavailable(StrCat(q.property, ": ", std::strerror(-sent)));
      one.slot.reset(slot);
      ++waiting;
    }
    const int64_t left = until - SystemClock().MonotonicNs() / 1000;
    if (left <= 0) return DeadlineExceeded(StrCat(waiting, " answers are missing"));
    const int handled = sd_bus_process(bus_.get(), nullptr);
    if (handled < 0) return Unavailable(StrCat("D-Bus: ", std::strerror(-handled)));
    if (handled > 0) continue;
    const int waited = sd_bus_wait(bus_.get(), static_cast<uint64_t>(left));
    if (waited < 0 && waited != -EINTR) {
      return Unavailable(StrCat("D-Bus: ", std::strerror(-waited)));
    }
  }
  // Questions that were under way when a connection broke off count as answered with an error.
  return sd_bus_is_open(bus_.get()) > 0 ? Status() : Unavailable("D-Bus: the connection broke off");
}

}  // namespace vedette::agent
