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

// The names of all network devices, by index.
Result<std::map<int, std::string>> DeviceNames();

}  // namespace vedette::agent
