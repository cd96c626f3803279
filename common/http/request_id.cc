#include "common/http/request_id.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace vedette::http {
namespace {

constexpr size_t kMaxIdBytes = 64;

bool Usable(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._:/+=").find(c) != std::string_view::npos;
  });
}

// Sixteen hexadecimal digits: half of them this process', half of them counted.
std::string NextId() {
  static const uint32_t process = std::random_device{}();
  static std::atomic<uint32_t> next{0};
  const uint64_t id = uint64_t{process} << 32 | next.fetch_add(1, std::memory_order_relaxed);
  std::string out(16, '0');
  for (size_t i = 0; i < out.size(); ++i) out[i] = "0123456789abcdef"[id >> (60 - 4 * i) & 15];
  return out;
}

}  // namespace

Router::Filter RequestIds() {
  return [](Request& request, Response&, const RouteOptions&) {
    if (!Usable(request.headers.Get(kRequestId))) request.headers.Set(kRequestId, NextId());
    return true;
  };
}

Router::Decorator RequestIdHeader() {
  return [](const Request& request, Response& response) {
    // What never became a request has none, or one that nobody has looked at.
    if (const std::string_view id = request.headers.Get(kRequestId); Usable(id)) {
      response.headers.Set(kRequestId, id);
    }
  };
}

}  // namespace vedette::http
