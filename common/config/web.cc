#include "common/config/web.h"

#include "common/config/decoder.h"

namespace vedette::config {
namespace {

void ReadTlsVersion(const Value& value, TlsVersion& out) {
  std::string name;
  value.ReadOneOf(name, {"TLS10", "TLS11", "TLS12", "TLS13"});
  if (!name.empty()) out = static_cast<TlsVersion>(name[4] - '0' + 1);
}

void ReadTlsServer(const Value& value, TlsServerConfig& out) {
  out.enabled = true;
  Object o(value);
  o["cert"].Read(out.cert);
  o["cert_file"].ReadPath(out.cert_file);
  o["key"].Read(out.key);
  o["key_file"].ReadPath(out.key_file);
  std::string client_auth = "NoClientCert";
  const Value auth = o["client_auth_type"];
  auth.ReadOneOf(client_auth, {"", "NoClientCert", "RequestClientCert", "RequireAnyClientCert",
                               "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"});
  if (client_auth == "RequestClientCert") out.client_auth = ClientAuth::kRequest;
  if (client_auth == "RequireAnyClientCert") out.client_auth = ClientAuth::kRequireAny;
  if (client_auth == "VerifyClientCertIfGiven") out.client_auth = ClientAuth::kVerifyIfGiven;
  if (client_auth == "RequireAndVerifyClientCert") out.client_auth = ClientAuth::kRequireAndVerify;
  o["client_ca"].Read(out.client_ca);
  o["client_ca_file"].ReadPath(out.client_ca_file);
  const Value sans = o["client_allowed_sans"];
  sans.Read(out.client_allowed_sans);
  ReadTlsVersion(o["min_version"], out.min_version);
  const Value max = o["max_version"];
  ReadTlsVersion(max, out.max_version);
  o["cipher_suites"].Read(out.cipher_suites);
  o["prefer_server_cipher_suites"].Read(out.prefer_server_cipher_suites);
  o["curve_preferences"].EachItem([&](const Value& item) {
    std::string curve;
    item.ReadOneOf(curve, {"CurveP256", "CurveP384", "CurveP521", "X25519"});
    out.curve_preferences.push_back(std::move(curve));
  });
  o.Finish();

  const bool cert = !out.cert.empty() || !out.cert_file.empty();
  const bool key = !out.key.empty() || !out.key_file.empty();
  const bool ca = !out.client_ca.empty() || !out.client_ca_file.empty();
  if (!out.cert.empty() && !out.cert_file.empty()) value.Fail("cert and cert_file: keep one");
  if (!out.key.empty() && !out.key_file.empty()) value.Fail("key and key_file: keep one");
  if (!out.client_ca.empty() && !out.client_ca_file.empty()) {
    value.Fail("client_ca and client_ca_file: keep one of them");
  }
  if (!cert) value.Fail("needs cert or cert_file");
  if (!key) value.Fail("needs key or key_file");
  if (ca && out.client_auth == ClientAuth::kNone) {
    auth.Fail(
        "client_ca is set, but no client certificate is asked for; set client_auth_type to "
        "RequireAndVerifyClientCert");
  }
  const bool verifies = out.client_auth == ClientAuth::kVerifyIfGiven ||
                        out.client_auth == ClientAuth::kRequireAndVerify;
  if (verifies && !ca) auth.Fail("client certificates cannot be verified without client_ca_file");
  if (!out.client_allowed_sans.empty() && !verifies) {
    sans.Fail("needs a client_auth_type that verifies certificates");
  }
  if (out.min_version > out.max_version) max.Fail("is below min_version");
}

void ReadHeaders(const Value& value, std::map<std::string, std::string>& out) {
  if (!value.present()) return;
  Object o(value);
  const auto header = [&](std::string_view name, std::vector<std::string_view> choices) {
    const Value field = o[name];
    std::string text;
    if (choices.empty()) {
      field.Read(text);
    } else {
      field.ReadOneOf(text, choices);
    }
    if (!text.empty()) out[std::string(name)] = text;
  };
  header("Content-Security-Policy", {});
  header("Strict-Transport-Security", {});
  header("X-Content-Type-Options", {"", "nosniff"});
  header("X-Frame-Options", {"", "deny", "sameorigin"});
  header("X-XSS-Protection", {});
  o.Finish();
}

// $2b$12$ and 53 characters more; what htpasswd -B writes.
bool IsBcrypt(std::string_view hash) {
  return hash.size() == 60 && hash[0] == '$' && hash[1] == '2' && hash[3] == '$' && hash[6] == '$';
}

}  // namespace

Result<WebConfig> ParseWebConfig(std::string_view text, const std::string& file) {
  VEDETTE_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, file));
  DecodeContext context = DecodeContext::For(file);
  WebConfig out;
  out.file = file;
  Object o(Value::Root(context, root));
  const Value tls = o["tls_server_config"];
  if (tls.present()) ReadTlsServer(tls, out.tls);
  const Value http = o["http_server_config"];
  if (http.present()) {
    Object h(http);
    h["http2"].Read(out.http2);
    ReadHeaders(h["headers"], out.headers);
    h.Finish();
  }
  o["basic_auth_users"].EachEntry([&](const std::string& user, const Value& value) {
    value.Read(out.basic_auth_users[user]);
    if (!IsBcrypt(out.basic_auth_users[user].Reveal())) {
      value.Fail("not a bcrypt hash; make one with vedettectl hash-password");
    }
  });
  o["basic_auth_roles"].EachEntry([&](const std::string& user, const Value& value) {
    std::string role;
    value.ReadOneOf(role, {"viewer", "operator"});
    if (!out.basic_auth_users.contains(user)) {
      value.Fail("basic_auth_users has no such user");
    }
    if (role == "viewer") out.basic_auth_viewers.insert(user);
  });
  o.Finish();
  VEDETTE_RETURN_IF_ERROR(context.failure);
  return out;
}

Result<WebConfig> LoadWebConfig(const std::string& path) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadConfigFile(path));
  return ParseWebConfig(text, path);
}

}  // namespace vedette::config
