#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

// How a node and a server that share nothing but a token come to trust each other. The secret never
// travels; each side shows an HMAC over what it said, and the answer's covers the CA, so whoever
// sits between them can neither learn the secret, nor put in a key or a CA of their own, nor reuse
// what they saw. docs/security.md, "Joining", has the whole of it.
namespace vedette::tls {

// What an operator carries to the node: the secret and, if it was made beside a CA, that CA's
// fingerprint as a second way to know it. As text: SECRET or SECRET.FINGERPRINT.
struct JoinToken {
  std::string secret;
  std::string ca_fingerprint;  // Lower-case hexadecimal SHA-256; may be empty.
};

// A proof is overheard by whoever sits on the wire, who may then try secrets at leisure: 24 random
// letters and digits are 142 bits.
inline constexpr size_t kMinSecretChars = 24;
inline constexpr size_t kMaxSecretChars = 128;

// White space around it is ignored. The text is never part of an error message.
Result<JoinToken> ParseJoinToken(std::string_view text);
std::string FormatJoinToken(const JoinToken& token);
// [A-Za-z0-9_-], 24 to 128 of them.
Status CheckSecret(std::string_view secret);
// 64 random hexadecimal digits.
Result<std::string> NewSecret();

// 32 random bytes, raw.
Result<std::string> NewNonce();

struct JoinRequest {
  std::string token_id;  // TokenId(secret).
  std::string name;
  std::vector<std::string> sans;
  std::string nonce;
  std::string csr_pem;
  std::string proof;  // RequestProof(secret, *this).
};

struct JoinAnswer {
  std::string cert_pem;
  std::string ca_pem;
  std::string crl_pem;
  std::string server_name;
  std::string proof;  // AnswerProof(secret, request, *this).
};

inline constexpr size_t kNonceBytes = 32;
inline constexpr size_t kMaxCsrBytes = 8 << 10;

// 32 hexadecimal digits that name a token without giving it away.
Result<std::string> TokenId(std::string_view secret);
// Both leave the `proof` of what they cover aside.
Result<std::string> RequestProof(std::string_view secret, const JoinRequest& request);
Result<std::string> AnswerProof(std::string_view secret, const JoinRequest& request,
                                const JoinAnswer& answer);

// In a time that depends on the lengths alone.
bool SameBytes(std::string_view a, std::string_view b);

}  // namespace vedette::tls
