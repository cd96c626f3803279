#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace vedette::agent {

// Sends one request (a whole message, its nlmsg_len set) on a socket of its own and calls visit for
// each message of the answer, until the kernel says that this was all. A kernel that does not answer
// within two seconds is UNAVAILABLE.
Status NetlinkDump(int protocol, const void* request,
                   const std::function<void(const nlmsghdr&)>& visit);

// The attributes that follow a message's fixed part of `fixed` bytes, by type; views into the
// message. Nested attributes are read by the second form.
using NetlinkAttributes = std::map<uint16_t, std::string_view>;
NetlinkAttributes AttributesOf(const nlmsghdr& message, size_t fixed);
NetlinkAttributes AttributesOf(std::string_view nested);

// Calls visit(type, value) for each attribute that follows the fixed part, in the order of the message.
template <typename Visit>
void ForEachAttribute(std::string_view bytes, Visit visit) {
  nlattr header = {};
  while (bytes.size() >= sizeof header) {
    __builtin_memcpy(&header, bytes.data(), sizeof header);
    if (header.nla_len < sizeof header || header.nla_len > bytes.size()) return;
    visit(static_cast<uint16_t>(header.nla_type & NLA_TYPE_MASK),
          bytes.substr(sizeof header, header.nla_len - sizeof header));
    const size_t padded = NLA_ALIGN(header.nla_len);
    if (padded >= bytes.size()) return;
    bytes.remove_prefix(padded);
  }
}
template <typename Visit>
void ForEachAttribute(const nlmsghdr& message, size_t fixed, Visit visit) {
  const size_t skip = NLMSG_ALIGN(fixed);
  if (message.nlmsg_len < NLMSG_HDRLEN + skip) return;
  ForEachAttribute(std::string_view(static_cast<const char*>(NLMSG_DATA(&message)) + skip,
                                    message.nlmsg_len - NLMSG_HDRLEN - skip),
                   visit);
}

// The fixed part; null where the message is too short for it.
template <typename T>
const T* BodyOf(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_LENGTH(sizeof(T))) return nullptr;
  return static_cast<const T*>(NLMSG_DATA(&message));
}

// An integer or struct out of an attribute; zero where it is too short.
template <typename T>
T Value(std::string_view attribute) {
  T value{};
  if (attribute.size() >= sizeof value) __builtin_memcpy(&value, attribute.data(), sizeof value);
  return value;
}

// A string attribute without its zero byte.
std::string_view Text(std::string_view attribute);

// "01:02:0a": a hardware address of as many bytes as its kind of device has.
std::string HardwareAddress(std::string_view bytes);

// The names of all network devices, by index.
Result<std::map<int, std::string>> DeviceNames();

}  // namespace vedette::agent
