#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "server/discovery/http_port.h"

namespace vedette::discovery {

// Where AWS' own programs look for who they are.
struct AwsSettings {
  std::string access_key, secret_key;  // Of the configuration; they win.
  std::string profile;                 // Only the files' profile of that name.
  std::string role_arn, external_id;   // Assumed with whatever else is found.
  bool use_fips_sts_endpoint = false;  // For that: sts-fips instead of sts.
};

struct AwsPorts {
  HttpPort http;
  std::function<std::string(const std::string& name)> env;  // "" where there is none.
  const Clock* clock = &SystemClock();
};
// getenv.
std::function<std::string(const std::string& name)> ProcessEnvironment();

// AwsCredentials finds keys in the order of AWS' programs and keeps them until they are about to
// end: the configuration, the environment, a web identity token (EKS), the shared files, the role
// of the machine through its metadata service, version 2 only. One thread.
class AwsCredentials {
 public:
  AwsCredentials(AwsSettings settings, AwsPorts ports)
      : settings_(std::move(settings)), ports_(std::move(ports)) {}

  struct Keys {
    std::string access_key, secret_key, session_token;
    int64_t fetched_ms = 0;
    int64_t expires_ms = 0;  // 0: never.
  };
  // `region` is where a role is assumed. FAILED_PRECONDITION says where it has looked.
  Result<Keys> Get(const std::string& region);
  // They were refused: the next Get looks anew.
  void Forget() { known_ = {}; }

  // AWS_REGION, AWS_DEFAULT_REGION, or the machine's own.
  Result<std::string> Region();

 private:
  Result<Keys> Find(const std::string& region);
  Result<Keys> FromWebIdentity(const std::string& region);
  Result<Keys> FromFiles(const std::string& profile, bool required);
  Result<Keys> FromMetadata();
  Result<Keys> AssumeRole(const Keys& base, const std::string& region);
  Result<std::string> Metadata(const std::string& path);
  std::string StsUrl(const std::string& region) const;

  const AwsSettings settings_;
  const AwsPorts ports_;
  Keys known_;
  std::string token_;  // Of the metadata service.
  int64_t token_ends_ms_ = 0;
};

// "2026-01-01T00:00:00Z" to milliseconds; 0 where it is no time.
int64_t ParseAwsTime(std::string_view text);

}  // namespace vedette::discovery
