#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/status.h"
#include "common/tls/identity.h"
#include "common/tls/openssl.h"

// A peer may send any bytes as its certificate. Whatever they are, reading ends, and what is read
// as a name is one that could have been issued, or the certificate has no role.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const vedette::Result<vedette::tls::Identity> identity = vedette::tls::ParseIdentity(text);
  if (identity.ok() && identity->role != vedette::tls::Role::kNone &&
      !vedette::tls::CheckName(identity->name).ok()) {
    __builtin_trap();
  }
  (void)vedette::tls::ParseRequest(text).ok();
  (void)vedette::tls::ParseCrls(text).ok();
  return 0;
}
