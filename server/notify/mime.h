#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"

// Mail as it crosses the wire.
namespace vedette::notify {

// "Ops <ops@x.org>, dev@x.org": the addresses, without names. kInvalidArgument where one is none.
Result<std::vector<std::string>> ParseAddresses(std::string_view list);

struct MimeMessage {
  // In this order. Values may be any UTF-8: what is not ASCII is encoded, and a line break becomes
  // a space, so that a label cannot add a header.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string text;  // One of the two, or both: then the reader's program chooses.
  std::string html;
  std::string boundary;  // Must not occur in the texts; random.
};
std::string WriteMime(const MimeMessage& message);

// "Tue, 14 Nov 2023 22:13:20 +0000"
std::string MailDate(int64_t t_ms);

// =?UTF-8?q?...?= where it must be.
std::string EncodeHeader(std::string_view value);
std::string QuotedPrintable(std::string_view text);

}  // namespace vedette::notify
