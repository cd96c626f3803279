#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/tls/join_token.h"
#include "common/tls/openssl.h"

// What a node sends before anybody knows who it is: a token as text, and a signing request.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const vedette::Result<vedette::tls::JoinToken> token = vedette::tls::ParseJoinToken(text);
  // What is accepted reads back to itself.
  if (token.ok()) {
    const auto again = vedette::tls::ParseJoinToken(vedette::tls::FormatJoinToken(*token));
    if (!again.ok() || again->secret != token->secret ||
        again->ca_fingerprint != token->ca_fingerprint) {
      std::abort();
    }
  }
  (void)vedette::tls::ParseRequest(text);  // Only that it ends, and touches nothing else.
  return 0;
}
