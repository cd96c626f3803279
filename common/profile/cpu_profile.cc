#include "common/profile/cpu_profile.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/compress/compress.h"

namespace vedette::profile {
namespace {

constexpr int kHertz = 100;
constexpr int kMaxFrames = 64;
constexpr size_t kMaxSamples = 16'384;  // 160 seconds of one core.
constexpr int64_t kLookMs = 100;
// The handler itself and the trampoline of the kernel stand on top of every stack.
constexpr int kOwnFrames = 2;

struct Sample {
  int frames = 0;
  std::array<void*, kMaxFrames> stack;
};

// Where the handler writes. Set while a profile runs; the samples are its owner's.
std::atomic<Sample*> g_samples{nullptr};
std::atomic<size_t> g_count{0};
std::atomic<int> g_in_handler{0};

void OnSignal(int) {
  const int saved_errno = errno;
  g_in_handler.fetch_add(1);
  if (Sample* samples = g_samples.load(); samples != nullptr) {
    if (const size_t n = g_count.fetch_add(1); n < kMaxSamples) {
      // Loaded beforehand by ProfileCpu, so that nothing is allocated here.
      samples[n].frames = backtrace(samples[n].stack.data(), kMaxFrames);
    }
  }
  g_in_handler.fetch_sub(1);
  errno = saved_errno;
}

// The few wire forms that profile.proto needs.
class Message {
 public:
  void Varint(uint32_t field, uint64_t v) {
    Raw(uint64_t{field} << 3);
    Raw(v);
  }
  void Bytes(uint32_t field, std::string_view bytes) {
    Raw(uint64_t{field} << 3 | 2);
    Raw(bytes.size());
    bytes_.append(bytes);
  }
  void Packed(uint32_t field, const std::vector<uint64_t>& values) {
    Message inner;
    for (const uint64_t v : values) inner.Raw(v);
    Bytes(field, inner.bytes());
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Raw(uint64_t v) {
    for (; v >= 0x80; v >>= 7) bytes_.push_back(static_cast<char>(v | 0x80));
    bytes_.push_back(static_cast<char>(v));
  }
  std::string bytes_;
};

struct Mapping {
  uint64_t start = 0, end = 0, offset = 0;
  std::string file;
};

std::vector<Mapping> ExecutableMappings() {
  std::vector<Mapping> out;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto words = Split(line, ' ');
    if (words.size() < 6 || words[1].size() < 3 || words[1][2] != 'x') continue;
    const size_t slash = line.find('/');
    if (slash == std::string::npos) continue;
    Mapping m;
    const auto hex = [](std::string_view text) {
      uint64_t v = 0;
      std::from_chars(text.data(), text.data() + text.size(), v, 16);
      return v;
    };
    const size_t dash = words[0].find('-');
    m.start = hex(words[0].substr(0, dash));
    m.end = hex(words[0].substr(dash + 1));
    m.offset = hex(words[2]);
    m.file = line.substr(slash);
    out.push_back(std::move(m));
  }
  return out;
}

class ProfileWriter {
 public:
  ProfileWriter() { String(""); }

  std::string Write(const std::map<std::vector<uint64_t>, uint64_t>& stacks, int64_t began_ns,
                    int64_t took_ns) {
    constexpr int64_t kPeriodNs = 1'000'000'000 / kHertz;
    mappings_ = ExecutableMappings();
    out_.Bytes(1, ValueType("samples", "count"));
    out_.Bytes(1, ValueType("cpu", "nanoseconds"));
    for (const auto& [stack, count] : stacks) {
      std::vector<uint64_t> locations;
      // But for the innermost, an address is where a call returns to; the call is before it.
      for (size_t i = 0; i < stack.size(); ++i) locations.push_back(Location(stack[i] - (i > 0)));
      Message sample;
      sample.Packed(1, locations);
      sample.Packed(2, {count, count * static_cast<uint64_t>(kPeriodNs)});
      out_.Bytes(2, sample.bytes());
    }
    for (size_t i = 0; i < mappings_.size(); ++i) {
      Message m;
      m.Varint(1, i + 1);
      m.Varint(2, mappings_[i].start);
      m.Varint(3, mappings_[i].end);
      m.Varint(4, mappings_[i].offset);
      m.Varint(5, String(mappings_[i].file));
      out_.Bytes(3, m.bytes());
    }
    const std::string period = ValueType("cpu", "nanoseconds");
    for (const std::string& text : strings_) out_.Bytes(6, text);
    out_.Varint(9, static_cast<uint64_t>(began_ns));
    out_.Varint(10, static_cast<uint64_t>(took_ns));
    out_.Bytes(11, period);
    out_.Varint(12, static_cast<uint64_t>(kPeriodNs));
    return out_.bytes();
  }

 private:
  uint64_t String(const std::string& text) {
    const auto [it, added] = string_ids_.try_emplace(text, strings_.size());
    if (added) strings_.push_back(text);
    return it->second;
  }
  std::string ValueType(const std::string& type, const std::string& unit) {
    Message m;
    m.Varint(1, String(type));
    m.Varint(2, String(unit));
    return m.bytes();
  }
  uint64_t Location(uint64_t address) {
    const auto [it, added] = locations_.try_emplace(address, locations_.size() + 1);
    if (!added) return it->second;
    Message m;
    m.Varint(1, it->second);
    for (size_t i = 0; i < mappings_.size(); ++i) {
      if (address >= mappings_[i].start && address < mappings_[i].end) m.Varint(2, i + 1);
    }
    m.Varint(3, address);
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(address), &info) != 0 && info.dli_sname != nullptr) {
      int status = 0;
      const std::unique_ptr<char, decltype(&std::free)> plain(
          abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status), &std::free);
      Message line;
      line.Varint(1, Function(plain != nullptr ? plain.get() : info.dli_sname));
      m.Bytes(4, line.bytes());
    }
    out_.Bytes(4, m.bytes());
    return it->second;
  }
  uint64_t Function(const std::string& name) {
    const auto [it, added] = functions_.try_emplace(name, functions_.size() + 1);
    if (!added) return it->second;
    Message m;
    m.Varint(1, it->second);
    m.Varint(2, String(name));
    m.Varint(3, String(name));
    out_.Bytes(5, m.bytes());
    return it->second;
  }

  Message out_;
  std::vector<Mapping> mappings_;
  std::vector<std::string> strings_;
  std::unordered_map<std::string, uint64_t> string_ids_;
  std::unordered_map<uint64_t, uint64_t> locations_;
  std::unordered_map<std::string, uint64_t> functions_;
};

}  // namespace

Result<std::string> ProfileCpu(int64_t duration_ms, const std::function<bool()>& cancelled) {
  static std::atomic<bool> running{false};
  if (running.exchange(true)) return ResourceExhausted("a profile is being taken already");
  const auto samples = std::make_unique<Sample[]>(kMaxSamples);
  void* first[4];
  backtrace(first, 4);  // Loads libgcc, which the handler must not do.

  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGPROF, &action, &before);
  g_count.store(0);
  g_samples.store(samples.get());
  const auto began = std::chrono::steady_clock::now();
  const int64_t began_ns = std::chrono::system_clock::now().time_since_epoch().count();
  const itimerval every{.it_interval = {0, 1'000'000 / kHertz}, .it_value = {0, 1'000'000 / kHertz}};
  setitimer(ITIMER_PROF, &every, nullptr);
  const auto end = began + std::chrono::milliseconds(duration_ms);
  while (std::chrono::steady_clock::now() < end && !cancelled()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                          end - std::chrono::steady_clock::now())
                          .count();
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(left, kLookMs) + 1));
  }
  const itimerval never{};
  setitimer(ITIMER_PROF, &never, nullptr);
  g_samples.store(nullptr);
  // A handler that has begun still writes into our samples; one that comes late finds none. The
  // handler stays in place: a late signal with the default action would end the process.
  while (g_in_handler.load() != 0) std::this_thread::yield();
  const int64_t took_ns = (std::chrono::steady_clock::now() - began).count();

  std::map<std::vector<uint64_t>, uint64_t> stacks;
  const size_t count = std::min(g_count.load(), kMaxSamples);
  for (size_t i = 0; i < count; ++i) {
    std::vector<uint64_t> stack;
    for (int f = kOwnFrames; f < samples[i].frames; ++f) {
      stack.push_back(reinterpret_cast<uint64_t>(samples[i].stack[static_cast<size_t>(f)]));
    }
    if (!stack.empty()) ++stacks[std::move(stack)];
  }
  std::string out;
  const Status packed = compress::Compress(
      compress::Encoding::kGzip, ProfileWriter().Write(stacks, began_ns, took_ns), out);
  running.store(false);
  if (!packed.ok()) return packed;
  return out;
}

}  // namespace vedette::profile
