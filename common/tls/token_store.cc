#include "common/tls/token_store.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "common/base/strings.h"
#include "common/tls/files.h"
#include "common/tls/join_token.h"
#include "common/tls/openssl.h"

namespace vedette::tls {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kPrivate = 0600;
constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kMaxTtlMs = 30 * kDayMs;
constexpr int64_t kMaxLifetimeMs = 3650 * kDayMs;
constexpr int64_t kKeepEndedMs = 7 * kDayMs;
constexpr int kMaxUses = 10'000;
constexpr size_t kMaxTokens = 10'000;
constexpr size_t kMaxSans = 64;

bool IsId(std::string_view text) {
  return text.size() == 32 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// A SAN stands on a line of its own.
bool IsPlain(std::string_view text) {
  return !text.empty() && text.size() <= 253 &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

Status CheckGrant(const TokenGrant& grant) {
  if (grant.role == Role::kNone) return InvalidArgument("a join token needs a role");
  if (!grant.name.empty()) {
    VEDETTE_RETURN_IF_ERROR(CheckName(grant.name));
  }
  if (grant.sans.size() > kMaxSans) {
    return InvalidArgument(StrCat(grant.sans.size(), " SANs; at most ", kMaxSans));
  }
  for (const std::string& san : grant.sans) {
    if (!IsPlain(san)) return InvalidArgument(StrCat("SAN ", Quoted(san), " is not a host name"));
  }
  if (grant.uses < 1 || grant.uses > kMaxUses) {
    return InvalidArgument(StrCat("uses ", grant.uses, ": want 1 to ", kMaxUses));
  }
  if (grant.ttl_ms < 1000 || grant.ttl_ms > kMaxTtlMs) {
    return InvalidArgument(StrCat("a join token lives from 1s to 30d, not ", grant.ttl_ms, " ms"));
  }
  if (grant.certificate_lifetime_ms < 1000 || grant.certificate_lifetime_ms > kMaxLifetimeMs) {
    return InvalidArgument(
        StrCat("a certificate lives from 1s to 3650d, not ", grant.certificate_lifetime_ms, " ms"));
  }
  return {};
}

std::string Format(const TokenStore::Token& t) {
  std::string out =
      StrCat("role ", RoleName(t.grant.role), "\nname ", t.grant.name, "\nuses ", t.grant.uses,
             "\nttl_ms ", t.grant.ttl_ms, "\ncertificate_lifetime_ms ",
             t.grant.certificate_lifetime_ms, "\nexpires_at_ms ", t.expires_at_ms, "\nended_at_ms ",
             t.ended_at_ms, "\nused_by ", t.used_by, "\nsecret ", t.secret, "\n");
  for (const std::string& san : t.grant.sans) StrAppend(out, "san ", san, "\n");
  return out;
}

template <typename T>
Status ParseNumber(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) {
    return DataLoss(StrCat("not a number: ", Quoted(text)));
  }
  return {};
}

Status ParseLine(std::string_view key, std::string_view value, TokenStore::Token& t) {
  if (key == "role") {
    VEDETTE_ASSIGN_OR_RETURN(t.grant.role, ParseRole(value));
    return {};
  }
  if (key == "uses") return ParseNumber(value, t.grant.uses);
  if (key == "ttl_ms") return ParseNumber(value, t.grant.ttl_ms);
  if (key == "certificate_lifetime_ms") return ParseNumber(value, t.grant.certificate_lifetime_ms);
  if (key == "expires_at_ms") return ParseNumber(value, t.expires_at_ms);
  if (key == "ended_at_ms") return ParseNumber(value, t.ended_at_ms);
  if (key == "name") {
    t.grant.name = value;
  } else if (key == "used_by") {
    t.used_by = value;
  } else if (key == "secret") {
    t.secret = value;
  } else if (key == "san") {
    t.grant.sans.emplace_back(value);
  } else {
    return DataLoss(StrCat("unknown line ", Quoted(key)));
  }
  return {};
}

}  // namespace

std::string TokenStore::Path(std::string_view id) const { return StrCat(dir_, "/tokens/", id); }

Result<TokenStore::Token> TokenStore::Read(std::string_view id) const {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(Path(id)));
  Token out;
  out.id = id;
  for (const std::string_view line : Split(text, '\n')) {
    if (line.empty()) continue;
    const size_t space = line.find(' ');
    const Status parsed = space == std::string_view::npos
                              ? DataLoss("a line without a value")
                              : ParseLine(line.substr(0, space), line.substr(space + 1), out);
    if (!parsed.ok()) return parsed.Annotate(Path(id));
  }
  if (out.grant.role == Role::kNone || out.expires_at_ms == 0) {
    return DataLoss(StrCat(Path(id), ": no role or no end in it"));
  }
  return out;
}

Status TokenStore::Write(const Token& token) const {
  return WriteFile(Path(token.id), Format(token), kPrivate, IfThere::kReplace);
}

Result<std::vector<TokenStore::Token>> TokenStore::Sweep() {
  std::vector<Token> out;
  const int64_t now_ms = clock_->NowMs();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(StrCat(dir_, "/tokens"), error)) {
    const std::string id = entry.path().filename().string();
    if (!IsId(id)) continue;  // The lock, and a file that is being written.
    VEDETTE_ASSIGN_OR_RETURN(Token token, Read(id));
    if (token.ended_at_ms == 0 && token.expires_at_ms <= now_ms) {
      token.secret.clear();
      token.ended_at_ms = now_ms;
      VEDETTE_RETURN_IF_ERROR(Write(token));
    }
    if (token.ended_at_ms != 0 && token.ended_at_ms + kKeepEndedMs < now_ms) {
      ::unlink(Path(id).c_str());
      continue;
    }
    out.push_back(std::move(token));
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return Unavailable(StrCat("list ", dir_, "/tokens: ", error.message()));
  }
  return out;
}

Result<std::string> TokenStore::Create(const TokenGrant& grant) {
  VEDETTE_ASSIGN_OR_RETURN(std::string secret, NewSecret());
  VEDETTE_RETURN_IF_ERROR(Add(secret, grant));
  return secret;
}

Status TokenStore::Add(std::string_view secret, const TokenGrant& grant) {
  VEDETTE_RETURN_IF_ERROR(CheckSecret(secret));
  VEDETTE_RETURN_IF_ERROR(CheckGrant(grant));
  VEDETTE_ASSIGN_OR_RETURN(const std::string id, TokenId(secret));
  if (FileStamp(StrCat(dir_, "/ca.crt")) == "absent") {
    return NotFound(
        StrCat("no CA in ", dir_, ": make one with 'vedettectl ca init --dir ", dir_, "'"));
  }
  std::error_code error;
  const std::string folder = StrCat(dir_, "/tokens");
  if (fs::create_directory(folder, error)) {
    fs::permissions(folder, fs::perms::owner_all, error);
  }
  if (error) return Unavailable(StrCat("create directory ", folder, ": ", error.message()));
  VEDETTE_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(StrCat(folder, "/.lock")));
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Token> there, Sweep());
  for (const Token& token : there) {
    if (token.id != id) continue;
    return AlreadyExists(StrCat("join token ", id,
                                token.ended_at_ms == 0  ? " is there already"
                                : token.used_by.empty() ? " is there already, and has ended"
                                                        : " is there already, and was used"));
  }
  if (there.size() >= kMaxTokens) {
    return ResourceExhausted(StrCat("there are ", there.size(), " join tokens in ", folder,
                                    ", of at most ", kMaxTokens));
  }
  Token token{.id = id, .secret = std::string(secret), .grant = grant};
  token.expires_at_ms = clock_->NowMs() + grant.ttl_ms;
  return Write(token);
}

Result<std::vector<TokenStore::Token>> TokenStore::List() {
  const std::string folder = StrCat(dir_, "/tokens");
  std::error_code error;
  if (!fs::exists(folder, error)) return std::vector<Token>();
  VEDETTE_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(StrCat(folder, "/.lock")));
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Token> out, Sweep());
  for (Token& token : out) token.secret.clear();
  std::ranges::sort(out, {}, [](const Token& t) { return std::pair(t.expires_at_ms, t.id); });
  return out;
}

Status TokenStore::Remove(std::string_view id) {
  if (!IsId(id)) {
    return InvalidArgument(StrCat(Quoted(id), " is not a token's id; see 'token list'"));
  }
  if (::unlink(Path(id).c_str()) != 0) return NotFound(StrCat("no join token ", id));
  return {};
}

Status TokenStore::Redeem(std::string_view id, std::string_view used_by,
                          const std::function<Status(const Token&)>& redeem) {
  constexpr std::string_view kUnknown =
      "join token unknown: is it complete, and was it made for this CA?";
  const std::string folder = StrCat(dir_, "/tokens");
  std::error_code error;
  if (!IsId(id) || !fs::exists(folder, error)) return Unauthenticated(kUnknown);
  VEDETTE_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(StrCat(folder, "/.lock")));
  Result<Token> token = Read(id);
  if (!token.ok() && token.status().code() == StatusCode::kNotFound) {
    return Unauthenticated(kUnknown);
  }
  if (!token.ok()) return token.status();
  const int64_t now_ms = clock_->NowMs();
  if (token->ended_at_ms != 0 && !token->used_by.empty() && token->grant.uses == 0) {
    return Unauthenticated(StrCat("join token ", id, " was used already, by ", token->used_by,
                                  " at ", FormatUtc(token->ended_at_ms)));
  }
  if (token->ended_at_ms != 0 || token->expires_at_ms <= now_ms) {
    if (token->ended_at_ms == 0) {
      token->ended_at_ms = now_ms;
      token->secret.clear();
      (void)Write(*token);  // Best effort: expired is expired, and the next look erases it.
    }
    return Unauthenticated(
        StrCat("join token ", id, " expired at ", FormatUtc(token->expires_at_ms)));
  }
  VEDETTE_RETURN_IF_ERROR(redeem(*token));
  token->used_by = used_by;
  if (--token->grant.uses == 0) {
    token->ended_at_ms = now_ms;
    token->secret.clear();
  }
  return Write(*token);
}

}  // namespace vedette::tls
