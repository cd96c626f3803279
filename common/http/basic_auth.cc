#include "common/http/basic_auth.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "common/base/strings.h"

namespace vedette::http {
namespace {

// Verified when the user is unknown, so that both refusals take the same time. Cost 10, as
// Prometheus' tools make them; the password behind it is nobody's.
constexpr char kDummyHash[] = "$2y$10$abcdefghijklmnopqrstuuN3Xm3bIrVOm1NlPyqBvCcQ0PzJHqGn2";

bool VerifyBcrypt(std::string_view password, const std::string& hash) {
  // Large (32 KiB): not on the stack.
  const auto data = std::make_unique<crypt_data>();
  const std::string phrase(password);
  const char* got = crypt_r(phrase.c_str(), hash.c_str(), data.get());
  const bool same = got != nullptr && std::strlen(got) == hash.size() &&
                    CRYPTO_memcmp(got, hash.data(), hash.size()) == 0;
  OPENSSL_cleanse(data.get(), sizeof *data);
  return same;
}

std::string RandomSalt() {
  std::string salt(32, '\0');
  RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), int(salt.size()));
  return salt;
}

bool DecodeBase64(std::string_view text, std::string& out) {
  if (text.size() % 4 != 0 || text.size() > 8192) return false;
  out.resize(text.size() / 4 * 3);
  const int n =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), int(text.size()));
  if (n < 0) return false;
  size_t size = size_t(n);
  for (size_t i = text.size(); i > 0 && text[i - 1] == '=' && size > 0; --i) --size;
  out.resize(size);
  return true;
}

}  // namespace

BasicAuth::BasicAuth(Users users)
    : salt_(RandomSalt()), users_(std::make_shared<const Users>(std::move(users))) {}

void BasicAuth::Replace(Users users) {
  auto next = std::make_shared<const Users>(std::move(users));
  MutexLock lock(mu_);
  users_ = std::move(next);
  remembered_.clear();
}

bool BasicAuth::enabled() const {
  MutexLock lock(mu_);
  return !users_->empty();
}

std::string BasicAuth::CacheKey(std::string_view user, std::string_view hash,
                                std::string_view password) const {
  // Lengths in front: no two triples may run together into one text.
  const std::string text = StrCat(salt_, user.size(), ":", user, hash.size(), ":", hash, password);
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

bool BasicAuth::Check(std::string_view user, std::string_view password) const {
  std::string hash = kDummyHash;
  bool known = false;
  {
    MutexLock lock(mu_);
    if (auto it = users_->find(user); it != users_->end()) {
      hash = it->second;
      known = true;
    }
  }
  // bcrypt itself ends at a zero byte, and would take "secret\0anything" for "secret".
  if (password.find('\0') != std::string_view::npos) return false;
  const std::string key = CacheKey(user, hash, password);
  {
    MutexLock lock(mu_);
    if (auto it = remembered_.find(key); it != remembered_.end()) return it->second;
  }
  bool right = false;
  {
    MutexLock lock(bcrypt_mu_);
    right = VerifyBcrypt(password, hash) && known;
  }
  MutexLock lock(mu_);
  if (remembered_.size() >= kMaxRemembered) {
    // Guesses make room first: a flood of them must not evict the scraper's password.
    auto victim = remembered_.begin();
    while (victim != remembered_.end() && victim->second) ++victim;
    remembered_.erase(victim == remembered_.end() ? remembered_.begin() : victim);
  }
  remembered_[key] = right;
  return right;
}

Result<std::string> MakeBcryptHash(const std::string& password, int cost) {
  constexpr size_t kMostBytes = 72;  // bcrypt looks at no more.
  if (password.empty()) return InvalidArgument("a password has at least one character");
  if (password.size() > kMostBytes) {
    return InvalidArgument(StrCat("bcrypt looks at ", kMostBytes, " bytes, this password has ",
                                  password.size(), "; use a shorter one"));
  }
  if (password.find('\0') != std::string::npos) {
    return InvalidArgument("a password has no zero bytes");
  }
  if (cost < 4 || cost > 15) return InvalidArgument(StrCat("cost ", cost, ": want 4 to 15"));
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  // Salted by the system's random numbers.
  if (crypt_gensalt_rn("$2y$", static_cast<unsigned long>(cost), nullptr, 0, setting,
                       sizeof setting) == nullptr) {
    return Internal("crypt_gensalt_rn failed");
  }
  const auto data = std::make_unique<crypt_data>();
  const char* hash = crypt_r(password.c_str(), setting, data.get());
  if (hash == nullptr || hash[0] == '*') return Internal("crypt_r failed");
  return std::string(hash);
}

bool IsBcryptHash(std::string_view hash) {
  // $2y$10$ and 53 characters.
  if (hash.size() != 60 || hash[0] != '$' || hash[1] != '2' || hash[3] != '$' || hash[6] != '$') {
    return false;
  }
  if (hash[2] != 'a' && hash[2] != 'b' && hash[2] != 'y') return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const int cost = digit(hash[4]) && digit(hash[5]) ? (hash[4] - '0') * 10 + hash[5] - '0' : 0;
  return cost >= 4 && cost <= 31;
}

bool ParseBasicAuthorization(std::string_view header, std::string& user, std::string& password) {
  constexpr std::string_view kScheme = "Basic ";
  if (header.size() < kScheme.size() ||
      !EqualsIgnoreCase(header.substr(0, kScheme.size()), kScheme)) {
    return false;
  }
  std::string pair;
  if (!DecodeBase64(Trim(header.substr(kScheme.size())), pair)) return false;
  const size_t colon = pair.find(':');
  if (colon == std::string::npos) return false;
  user = pair.substr(0, colon);
  password = pair.substr(colon + 1);
  return true;
}

Router::Filter BasicAuthFilter(std::shared_ptr<const BasicAuth> auth) {
  return [auth = std::move(auth)](Request& request, Response& response, const RouteOptions& route) {
    if (route.open || !auth->enabled()) return true;
    std::string user, password;
    if (ParseBasicAuthorization(request.headers.Get("Authorization"), user, password) &&
        auth->Check(user, password)) {
      request.user = std::move(user);
      return true;
    }
    response.headers.Set("WWW-Authenticate", "Basic");
    response.SetError(401, "Unauthorized");
    return false;
  };
}

}  // namespace vedette::http
