// Put before a program with LD_PRELOAD: names that end in ".test" are this machine, and while the
// file NAMES_SWITCH exists nobody can say what they are. A name server that has stopped answering,
// as a process sees it.
#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** out) {
  using Function = int(const char*, const char*, const addrinfo*, addrinfo**);
  static auto* const real = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  static const char* const with = std::getenv("NAMES_SWITCH");
  const size_t length = node == nullptr ? 0 : std::strlen(node);
  if (length < 5 || std::strcmp(node + length - 5, ".test") != 0) {
    return real(node, service, hints, out);
  }
  if (with != nullptr && ::access(with, F_OK) == 0) return EAI_AGAIN;
  return real("127.0.0.1", service, hints, out);
}
