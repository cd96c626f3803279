#include "common/tls/join_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "common/base/strings.h"
#include "common/tls/openssl.h"

namespace vedette::tls {
namespace {

// One label a purpose: what proves one thing can never pass for another.
constexpr std::string_view kIdLabel = "vedette join v1 token id";
constexpr std::string_view kRequestLabel = "vedette join v1 request";
constexpr std::string_view kAnswerLabel = "vedette join v1 answer";

constexpr size_t kSecretBytes = 32;
constexpr size_t kIdChars = 32;
constexpr size_t kFingerprintChars = 64;

// Fields with their lengths before them, so that no two lists of fields give the same bytes.
class Transcript {
 public:
  explicit Transcript(std::string_view label) { Add(label); }
  Transcript& Add(std::string_view field) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes_.push_back(static_cast<char>(static_cast<uint32_t>(field.size()) >> shift));
    }
    bytes_.append(field);
    return *this;
  }
  Transcript& AddCount(size_t n) { return Add(StrCat(n)); }

  Result<std::string> Mac(std::string_view secret) const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
    unsigned size = 0;
    if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(bytes_.data()), bytes_.size(), mac.data(),
             &size) == nullptr) {
      return OpenSslError("compute an HMAC");
    }
    return std::string(reinterpret_cast<const char*>(mac.data()), size);
  }

 private:
  std::string bytes_;
};

std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const unsigned char c : bytes) {
    out.push_back(kDigits[c >> 4]);
    out.push_back(kDigits[c & 15]);
  }
  return out;
}

Result<std::string> RandomBytes(size_t n) {
  std::string out(n, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(n)) != 1) {
    return OpenSslError("take random bytes");
  }
  return out;
}

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsSecretChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

}  // namespace

Status CheckSecret(std::string_view secret) {
  if (secret.size() < kMinSecretChars || secret.size() > kMaxSecretChars) {
    return InvalidArgument(StrCat("a join token's secret has ", kMinSecretChars, " to ",
                                  kMaxSecretChars, " characters; this one has ", secret.size()));
  }
  if (!std::ranges::all_of(secret, IsSecretChar)) {
    return InvalidArgument("a join token's secret is made of letters, digits, '_' and '-' only");
  }
  return {};
}

Result<JoinToken> ParseJoinToken(std::string_view text) {
  text = Trim(text);
  JoinToken out;
  const size_t dot = text.find('.');
  out.secret = text.substr(0, dot);
  VEDETTE_RETURN_IF_ERROR(CheckSecret(out.secret));
  if (dot == std::string_view::npos) return out;
  out.ca_fingerprint = text.substr(dot + 1);
  if (out.ca_fingerprint.size() != kFingerprintChars ||
      !std::ranges::all_of(out.ca_fingerprint, IsHex)) {
    return InvalidArgument(StrCat("what follows the '.' in a join token is the CA's SHA-256: ",
                                  kFingerprintChars, " digits 0-9 and a-f"));
  }
  return out;
}

std::string FormatJoinToken(const JoinToken& token) {
  return token.ca_fingerprint.empty() ? token.secret
                                      : StrCat(token.secret, ".", token.ca_fingerprint);
}

Result<std::string> NewSecret() {
  VEDETTE_ASSIGN_OR_RETURN(const std::string bytes, RandomBytes(kSecretBytes));
  return Hex(bytes);
}

Result<std::string> NewNonce() { return RandomBytes(kNonceBytes); }

Result<std::string> TokenId(std::string_view secret) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string mac, Transcript(kIdLabel).Mac(secret));
  return Hex(mac).substr(0, kIdChars);
}

Result<std::string> RequestProof(std::string_view secret, const JoinRequest& request) {
  Transcript transcript(kRequestLabel);
  transcript.Add(request.token_id).Add(request.name).AddCount(request.sans.size());
  for (const std::string& san : request.sans) transcript.Add(san);
  return transcript.Add(request.nonce).Add(request.csr_pem).Mac(secret);
}

Result<std::string> AnswerProof(std::string_view secret, const JoinRequest& request,
                                const JoinAnswer& answer) {
  return Transcript(kAnswerLabel)
      .Add(request.proof)  // Covers the nonce, hence everything that was asked.
      .Add(answer.cert_pem)
      .Add(answer.ca_pem)
      .Add(answer.crl_pem)
      .Add(answer.server_name)
      .Mac(secret);
}

bool SameBytes(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace vedette::tls
