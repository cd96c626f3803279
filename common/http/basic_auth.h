#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/http/router.h"

namespace vedette::http {

// BasicAuth checks user names and passwords against bcrypt hashes, as in Prometheus' web
// configuration file. A password that was right once is remembered by its SHA-256 (salted anew in
// every process), because bcrypt at cost 10 takes 50 ms of CPU and a scraper asks all day; wrong
// ones are remembered too, so that a misconfigured client does not burn a core. An unknown user
// costs as much as a wrong password. Thread-safe; Replace takes a reloaded file.
class BasicAuth {
 public:
  using Users = std::map<std::string, std::string, std::less<>>;  // Name to "$2y$10$...".

  explicit BasicAuth(Users users);

  void Replace(Users users);
  // No users: nobody is asked.
  bool enabled() const;
  bool Check(std::string_view user, std::string_view password) const;

 private:
  static constexpr size_t kMaxRemembered = 100;

  std::string CacheKey(std::string_view user, std::string_view hash,
                       std::string_view password) const;

  const std::string salt_;
  mutable Mutex mu_;
  std::shared_ptr<const Users> users_ VEDETTE_GUARDED_BY(mu_);
  mutable std::map<std::string, bool> remembered_ VEDETTE_GUARDED_BY(mu_);
  mutable Mutex bcrypt_mu_;  // One bcrypt at a time: a flood of guesses must not take every core.
};

// Is `hash` a bcrypt hash that Check can verify? For whoever reads the configuration.
bool IsBcryptHash(std::string_view hash);

// A bcrypt hash ("$2y$10$...") of a password, with a salt of its own. INVALID_ARGUMENT: empty,
// longer than the 72 bytes that bcrypt looks at, or a cost beyond 4 to 15.
Result<std::string> MakeBcryptHash(const std::string& password, int cost);

// 401 with WWW-Authenticate unless the request names a user with the right password; open routes
// pass. Fills request.user.
Router::Filter BasicAuthFilter(std::shared_ptr<const BasicAuth> auth);

// "Basic dXNlcjpwYXNz" taken apart; false if it is anything else.
bool ParseBasicAuthorization(std::string_view header, std::string& user, std::string& password);

}  // namespace vedette::http
