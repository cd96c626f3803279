#include "common/log/request_scope.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace vedette::log {
namespace {

constexpr size_t kMaxIdBytes = 64;

thread_local const RequestScope* t_scope = nullptr;

}  // namespace

RequestScope::RequestScope() : outer_(t_scope) { t_scope = this; }
RequestScope::~RequestScope() { t_scope = outer_; }

std::string_view RequestScope::Current() {
  return t_scope == nullptr ? std::string_view() : t_scope->id_;
}

bool UsableRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._:/+=").find(c) != std::string_view::npos;
  });
}

// Half of the digits are this process', half of them counted.
std::string NewRequestId() {
  static const uint32_t process = std::random_device{}();
  static std::atomic<uint32_t> next{0};
  const uint64_t id = uint64_t{process} << 32 | next.fetch_add(1, std::memory_order_relaxed);
  std::string out(16, '0');
  for (size_t i = 0; i < out.size(); ++i) out[i] = "0123456789abcdef"[id >> (60 - 4 * i) & 15];
  return out;
}

}  // namespace vedette::log
