#include "agent/probe/dns_message.h"

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr size_t kHeader = 12;
constexpr int kSoa = 6;

int Get16(std::string_view bytes, size_t at) {
  return static_cast<unsigned char>(bytes[at]) << 8 | static_cast<unsigned char>(bytes[at + 1]);
}

void Put16(std::string& out, int v) {
  out.push_back(static_cast<char>(v >> 8 & 0xff));
  out.push_back(static_cast<char>(v & 0xff));
}

// Past the name at `at`; pointers are not followed, only stepped over. npos: there is none.
size_t SkipName(std::string_view bytes, size_t at) {
  while (at < bytes.size()) {
    const auto length = static_cast<unsigned char>(bytes[at]);
    if (length == 0) return at + 1;
    if ((length & 0xc0) == 0xc0) return at + 2 <= bytes.size() ? at + 2 : std::string_view::npos;
    if (length > 63) return std::string_view::npos;
    at += length + 1u;
  }
  return std::string_view::npos;
}

}  // namespace

Result<std::string> MakeDnsQuery(uint16_t id, std::string_view name, int type, int query_class,
                                 bool recursion_desired) {
  std::string out;
  Put16(out, id);
  Put16(out, recursion_desired ? 0x0100 : 0);
  Put16(out, 1);
  out.append(6, '\0');
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > 253) return InvalidArgument("a name longer than 253 characters");
  if (!name.empty()) {
    for (const std::string_view label : Split(name, '.')) {
      if (label.empty() || label.size() > 63) {
        return InvalidArgument(StrCat(Quoted(name), " is not a domain name"));
      }
      out.push_back(static_cast<char>(label.size()));
      out += label;
    }
  }
  out.push_back('\0');
  Put16(out, type);
  Put16(out, query_class);
  return out;
}

Result<DnsAnswer> ReadDnsAnswer(std::string_view bytes) {
  if (bytes.size() < kHeader) return DataLoss("a DNS message without a header");
  DnsAnswer answer;
  answer.id = static_cast<uint16_t>(Get16(bytes, 0));
  const int flags = Get16(bytes, 2);
  answer.response = (flags & 0x8000) != 0;
  answer.truncated = (flags & 0x0200) != 0;
  answer.rcode = flags & 0xf;
  const int questions = Get16(bytes, 4);
  answer.answers = Get16(bytes, 6);
  answer.authorities = Get16(bytes, 8);
  answer.additionals = Get16(bytes, 10);
  size_t at = kHeader;
  for (int i = 0; i < questions; ++i) {
    at = SkipName(bytes, at);
    if (at == std::string_view::npos || at + 4 > bytes.size()) {
      return DataLoss("a DNS message whose question is cut short");
    }
    at += 4;
  }
  for (int i = 0; i < answer.answers + answer.authorities; ++i) {
    at = SkipName(bytes, at);
    if (at == std::string_view::npos || at + 10 > bytes.size()) return answer;  // Truncated.
    const int type = Get16(bytes, at);
    const auto length = static_cast<size_t>(Get16(bytes, at + 8));
    at += 10;
    if (at + length > bytes.size()) return answer;
    if (type == kSoa && answer.serial < 0) {
      size_t inside = SkipName(bytes, at);
      if (inside != std::string_view::npos) inside = SkipName(bytes, inside);
      if (inside != std::string_view::npos && inside + 4 <= at + length) {
        answer.serial = static_cast<int64_t>(Get16(bytes, inside)) << 16 | Get16(bytes, inside + 2);
      }
    }
    at += length;
  }
  return answer;
}

}  // namespace vedette::agent
