#include "server/discovery/aws_credentials.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/base/strings.h"
#include "common/config/decoder.h"
#include "common/http/message.h"
#include "server/discovery/xml.h"

namespace vedette::discovery {
namespace {

constexpr int64_t kMetadataTimeoutMs = 2'000;
constexpr int64_t kTokenSeconds = 21'600;
// Keys are renewed in the last fifth of their life, and at least five minutes before its end if it
// is long enough for that.
constexpr int64_t kRenewMs = 300'000;

std::string Text(const nlohmann::json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

// The ini files of AWS' programs: [profile], key = value.
std::map<std::string, std::map<std::string, std::string>> ReadIni(std::string_view text) {
  std::map<std::string, std::map<std::string, std::string>> out;
  std::string section;
  for (std::string_view line : Split(text, '\n')) {
    line = Trim(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = Trim(line.substr(1, line.size() - 2));
      // ~/.aws/config says [profile name], ~/.aws/credentials [name].
      if (section.starts_with("profile ")) section = Trim(std::string_view(section).substr(8));
      continue;
    }
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    out[section][std::string(Trim(line.substr(0, equals)))] = Trim(line.substr(equals + 1));
  }
  return out;
}

// An error of AWS as it says it itself.
Status AwsError(int status, const std::string& body) {
  const Result<XmlNode> xml = ParseXml(body);
  if (xml.ok()) {
    const XmlNode& error = xml->Has("Error") ? (*xml)["Error"] : (*xml)["Errors"]["Error"];
    if (error.Has("Code")) {
      return Unavailable(StrCat("status ", status, ", ", error["Code"].text, ": ",
                                error["Message"].text.substr(0, 200)));
    }
  }
  return Unavailable(StrCat("status ", status));
}

Result<AwsCredentials::Keys> ReadStsAnswer(const HttpAnswer& answer, std::string_view action,
                                           int64_t now_ms) {
  if (answer.status != 200) return AwsError(answer.status, answer.body).Annotate(action);
  VEDETTE_ASSIGN_OR_RETURN(const XmlNode xml, ParseXml(answer.body));
  const XmlNode& c = xml[StrCat(action, "Result")]["Credentials"];
  if (!c.Has("AccessKeyId")) return DataLoss(StrCat(action, ": an answer without keys"));
  return AwsCredentials::Keys{.access_key = c["AccessKeyId"].text,
                              .secret_key = c["SecretAccessKey"].text,
                              .session_token = c["SessionToken"].text,
                              .fetched_ms = now_ms,
                              .expires_ms = ParseAwsTime(c["Expiration"].text)};
}

}  // namespace

std::function<std::string(const std::string& name)> ProcessEnvironment() {
  return [](const std::string& name) -> std::string {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? "" : value;
  };
}

int64_t ParseAwsTime(std::string_view text) {
  tm utc{};
  const std::string copy(text);
  const char* end = strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  return end == nullptr ? 0 : static_cast<int64_t>(timegm(&utc)) * 1000;
}

std::string AwsCredentials::StsUrl(const std::string& region) const {
  if (std::string url = ports_.env("AWS_ENDPOINT_URL_STS"); !url.empty()) return url;
  return StrCat("https://sts", settings_.use_fips_sts_endpoint ? "-fips." : ".", region,
                ".amazonaws.com", region.starts_with("cn-") ? ".cn" : "", "/");
}

Result<AwsCredentials::Keys> AwsCredentials::Get(const std::string& region) {
  const int64_t now_ms = ports_.clock->NowMs();
  if (!known_.access_key.empty()) {
    const int64_t life_ms = known_.expires_ms - known_.fetched_ms;
    const int64_t early_ms = std::clamp<int64_t>(life_ms / 5, 0, kRenewMs);
    if (known_.expires_ms == 0 || now_ms < known_.expires_ms - early_ms) return known_;
  }
  VEDETTE_ASSIGN_OR_RETURN(Keys keys, Find(region));
  if (!settings_.role_arn.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(keys, AssumeRole(keys, region));
  }
  known_ = keys;
  return keys;
}

Result<AwsCredentials::Keys> AwsCredentials::Find(const std::string& region) {
  if (!settings_.access_key.empty()) {
    return Keys{.access_key = settings_.access_key, .secret_key = settings_.secret_key};
  }
  if (!settings_.profile.empty()) return FromFiles(settings_.profile, true);
  const auto& env = ports_.env;
  if (!env("AWS_ACCESS_KEY_ID").empty() && !env("AWS_SECRET_ACCESS_KEY").empty()) {
    return Keys{.access_key = env("AWS_ACCESS_KEY_ID"),
                .secret_key = env("AWS_SECRET_ACCESS_KEY"),
                .session_token = env("AWS_SESSION_TOKEN")};
  }
  if (!env("AWS_WEB_IDENTITY_TOKEN_FILE").empty()) return FromWebIdentity(region);
  const std::string named = env("AWS_PROFILE");
  Result<Keys> filed = FromFiles(named.empty() ? "default" : named, !named.empty());
  if (filed.ok() || filed.status().code() != StatusCode::kNotFound) return filed;
  Result<Keys> role = FromMetadata();
  if (role.ok()) return role;
  return FailedPrecondition(
      StrCat("no AWS keys: not in the configuration, in AWS_ACCESS_KEY_ID, in "
             "AWS_WEB_IDENTITY_TOKEN_FILE, in ~/.aws/credentials, and not from the machine's role: ",
             role.status().message()));
}

Result<AwsCredentials::Keys> AwsCredentials::FromFiles(const std::string& profile, bool required) {
  std::string path = ports_.env("AWS_SHARED_CREDENTIALS_FILE");
  if (path.empty()) path = ports_.env("HOME") + "/.aws/credentials";
  const Result<std::string> text = config::ReadConfigFile(path);
  if (text.ok()) {
    const auto ini = ReadIni(*text);
    if (const auto at = ini.find(profile); at != ini.end()) {
      const auto get = [&](const char* key) {
        const auto value = at->second.find(key);
        return value == at->second.end() ? std::string() : value->second;
      };
      Keys keys{.access_key = get("aws_access_key_id"),
                .secret_key = get("aws_secret_access_key"),
                .session_token = get("aws_session_token")};
      if (!keys.access_key.empty() && !keys.secret_key.empty()) return keys;
    }
  }
  const std::string why = StrCat("profile ", Quoted(profile), " is not in ", path);
  return required ? FailedPrecondition(why) : NotFound(why);
}

Result<AwsCredentials::Keys> AwsCredentials::FromWebIdentity(const std::string& region) {
  const std::string file = ports_.env("AWS_WEB_IDENTITY_TOKEN_FILE");
  const std::string role = ports_.env("AWS_ROLE_ARN");
  if (role.empty()) {
    return FailedPrecondition("AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not");
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::string token, config::ReadConfigFile(file));
  std::string session = ports_.env("AWS_ROLE_SESSION_NAME");
  if (session.empty()) session = "vedette";
  http::Params form;
  form.Add("Action", "AssumeRoleWithWebIdentity");
  form.Add("Version", "2011-06-15");
  form.Add("RoleArn", role);
  form.Add("RoleSessionName", session);
  form.Add("WebIdentityToken", Trim(token));
  HttpCall call;
  call.method = "POST";
  call.url = StsUrl(region);
  call.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8";
  call.body = form.Encode();
  VEDETTE_ASSIGN_OR_RETURN(const HttpAnswer answer, ports_.http(call));
  return ReadStsAnswer(answer, "AssumeRoleWithWebIdentity", ports_.clock->NowMs());
}

Result<AwsCredentials::Keys> AwsCredentials::AssumeRole(const Keys& base,
                                                        const std::string& region) {
  http::Params form;
  form.Add("Action", "AssumeRole");
  form.Add("Version", "2011-06-15");
  form.Add("RoleArn", settings_.role_arn);
  form.Add("RoleSessionName", "vedette");
  if (!settings_.external_id.empty()) form.Add("ExternalId", settings_.external_id);
  HttpCall call;
  call.method = "POST";
  call.url = StsUrl(region);
  call.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8";
  call.body = form.Encode();
  call.sign = AwsSignature{region, "sts", base.access_key, base.secret_key, base.session_token};
  VEDETTE_ASSIGN_OR_RETURN(const HttpAnswer answer, ports_.http(call));
  return ReadStsAnswer(answer, "AssumeRole", ports_.clock->NowMs());
}

Result<std::string> AwsCredentials::Metadata(const std::string& path) {
  if (ports_.env("AWS_EC2_METADATA_DISABLED") == "true") {
    return FailedPrecondition("AWS_EC2_METADATA_DISABLED is true");
  }
  std::string base = ports_.env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = "http://169.254.169.254";
  while (base.ends_with('/')) base.pop_back();
  const int64_t now_ms = ports_.clock->NowMs();
  // Never asked without a token: version 1 answers whoever can make us send a request.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (token_.empty() || now_ms >= token_ends_ms_) {
      HttpCall ask;
      ask.method = "PUT";
      ask.url = base + "/latest/api/token";
      ask.headers["X-aws-ec2-metadata-token-ttl-seconds"] = StrCat(kTokenSeconds);
      ask.timeout_ms = kMetadataTimeoutMs;
      VEDETTE_ASSIGN_OR_RETURN(const HttpAnswer answer, ports_.http(ask));
      if (answer.status != 200) {
        return Unavailable(StrCat("the metadata service gave no token: status ", answer.status));
      }
      token_ = Trim(answer.body);
      token_ends_ms_ = now_ms + kTokenSeconds * 900;  // Nine tenths of its life.
    }
    HttpCall ask;
    ask.url = base + path;
    ask.headers["X-aws-ec2-metadata-token"] = token_;
    ask.timeout_ms = kMetadataTimeoutMs;
    VEDETTE_ASSIGN_OR_RETURN(HttpAnswer answer, ports_.http(ask));
    if (answer.status == 200) return std::move(answer.body);
    if (answer.status != 401) {
      return Unavailable(StrCat("the metadata service: ", path, ": status ", answer.status));
    }
    token_.clear();
  }
  return Unauthenticated("the metadata service refuses its own token");
}

Result<AwsCredentials::Keys> AwsCredentials::FromMetadata() {
  const std::string path = "/latest/meta-data/iam/security-credentials/";
  VEDETTE_ASSIGN_OR_RETURN(const std::string roles, Metadata(path));
  const std::string role(Trim(Split(roles, '\n')[0]));
  if (role.empty()) return FailedPrecondition("the machine has no role");
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, Metadata(path + role));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || Text(json, "AccessKeyId").empty()) {
    return DataLoss("the metadata service's answer holds no keys");
  }
  return Keys{.access_key = Text(json, "AccessKeyId"),
              .secret_key = Text(json, "SecretAccessKey"),
              .session_token = Text(json, "Token"),
              .fetched_ms = ports_.clock->NowMs(),
              .expires_ms = ParseAwsTime(Text(json, "Expiration"))};
}

Result<std::string> AwsCredentials::Region() {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string region = ports_.env(name); !region.empty()) return region;
  }
  Result<std::string> region = Metadata("/latest/meta-data/placement/region");
  if (!region.ok()) {
    return FailedPrecondition(StrCat("no AWS region: not in the configuration, not in AWS_REGION, "
                                     "and not from the metadata service: ",
                                     region.status().message()));
  }
  return std::string(Trim(*region));
}

}  // namespace vedette::discovery
