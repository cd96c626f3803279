#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/tls/identity.h"

namespace vedette::tls {

// What a join token is good for.
struct TokenGrant {
  Role role = Role::kNone;
  std::string name;               // The one name it may take; empty: any that is free.
  std::vector<std::string> sans;  // Host names and addresses it may answer under.
  int uses = 1;
  int64_t ttl_ms = 3'600'000;
  int64_t certificate_lifetime_ms = 90LL * 86'400'000;
};

// The join tokens of a CA: files in its directory, tokens/ID (0600, the folder 0700).
//
// A live token's file holds its secret, since an HMAC is checked with the secret itself: whoever
// can read it can read ca.key beside it, too. The secret is erased with the last use, and when it
// is seen to have expired; what stays for a week is the sentence that says so to whoever comes
// late.
//
//   TokenStore tokens(ca_dir, clock);
//   VEDETTE_ASSIGN_OR_RETURN(std::string secret, tokens.Create({.role = Role::kAgent}));
//
// Several processes may use one directory: each call takes a lock file. Thread-safe.
class TokenStore {
 public:
  struct Token {
    std::string id;
    std::string secret;  // Empty once used up or expired.
    TokenGrant grant;    // uses: those left. ttl_ms: as it was given.
    int64_t expires_at_ms = 0;
    int64_t ended_at_ms = 0;  // When the secret was erased.
    std::string used_by;      // Name of the last node that joined with it.
  };

  TokenStore(std::string ca_dir, const Clock& clock) : dir_(std::move(ca_dir)), clock_(&clock) {}

  // A new secret for `grant`.
  Result<std::string> Create(const TokenGrant& grant);
  // The same with a secret that was chosen beforehand. ALREADY_EXISTS if it is known, be it used
  // up.
  Status Add(std::string_view secret, const TokenGrant& grant);
  // By their ends, with secrets left out.
  Result<std::vector<Token>> List();
  Status Remove(std::string_view id);

  // Looks for the live token of that id and hands it to `redeem` under the lock, so that two who
  // come at once cannot both have its last use. A use is taken when `redeem` succeeds.
  // UNAUTHENTICATED if there is none, saying whether it was used, has expired or was never there.
  Status Redeem(std::string_view id, std::string_view used_by,
                const std::function<Status(const Token&)>& redeem);

 private:
  std::string Path(std::string_view id) const;
  Result<Token> Read(std::string_view id) const;
  Status Write(const Token& token) const;
  // Erases secrets that have expired, and files that ended long ago. Returns what stays.
  Result<std::vector<Token>> Sweep();

  std::string dir_;
  const Clock* clock_;
};

}  // namespace vedette::tls
