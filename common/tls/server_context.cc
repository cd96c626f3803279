#include "common/tls/server_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/strings.h"
#include "common/tls/files.h"
#include "common/tls/openssl.h"

namespace vedette::tls {
namespace {

struct ClientAuth {
  std::string_view name;
  bool request;
  bool require;
  bool verify;
};
constexpr std::array<ClientAuth, 5> kClientAuth = {{
    {"NoClientCert", false, false, false},
    {"RequestClientCert", true, false, false},
    {"RequireAnyClientCert", true, true, false},
    {"VerifyClientCertIfGiven", true, false, true},
    {"RequireAndVerifyClientCert", true, true, true},
}};

// Go's names of the TLS 1.2 suites that OpenSSL still has at its default security level, and
// OpenSSL's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kSuites = {{
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"},
    {"TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"},
    {"TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"},
    {"TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"},
    {"TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"},
}};

// Go's names of the TLS 1.3 suites, which OpenSSL always offers.
constexpr std::array<std::string_view, 3> kSuites13 = {
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kCurves = {
    {{"CurveP256", "P-256"}, {"CurveP384", "P-384"}, {"CurveP521", "P-521"}, {"X25519", "X25519"}}};

template <size_t kN>
std::string_view Find(const std::array<std::pair<std::string_view, std::string_view>, kN>& table,
                      std::string_view key) {
  const auto at = std::ranges::find(table, key, [](const auto& row) { return row.first; });
  return at == table.end() ? std::string_view() : at->second;
}

Result<int> Version(std::string_view text, std::string_view field) {
  if (text == "TLS12") return TLS1_2_VERSION;
  if (text == "TLS13") return TLS1_3_VERSION;
  return InvalidArgument(
      StrCat(field, " ", Quoted(text), ": want TLS12 or TLS13",
             text == "TLS10" || text == "TLS11" ? " (older ones are broken)" : ""));
}

using AllowedSans = std::vector<std::string>;

void FreeAllowed(void*, void* value, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<AllowedSans*>(value);
}

// Where a context keeps its allowed SANs; one slot for the process.
int AllowedIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, FreeAllowed);
  return index;
}

bool CarriesOneOf(X509* cert, const AllowedSans& allowed) {
  const Identity identity = IdentityOf(cert);
  const auto in = [&](std::string_view name) {
    return std::ranges::find(allowed, name) != allowed.end();
  };
  if (std::ranges::any_of(identity.dns_names, in) ||
      std::ranges::any_of(identity.ip_addresses, in)) {
    return true;
  }
  auto* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr));
  bool found = false;
  for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_EMAIL && name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text =
        name->type == GEN_EMAIL ? name->d.rfc822Name : name->d.uniformResourceIdentifier;
    found = in(std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                static_cast<size_t>(ASN1_STRING_length(text))));
  }
  GENERAL_NAMES_free(names);
  return found;
}

// After OpenSSL has verified: the leaf must carry an allowed SAN.
int VerifyPeer(int ok, X509_STORE_CTX* context) {
  // As in TrustStore: no list revokes nothing, and one from a clock ahead of ours is used.
  const int error = X509_STORE_CTX_get_error(context);
  if (ok == 0 && (error == X509_V_ERR_UNABLE_TO_GET_CRL || error == X509_V_ERR_CRL_NOT_YET_VALID)) {
    X509_STORE_CTX_set_error(context, X509_V_OK);
    ok = 1;
  }
  if (ok == 0 || X509_STORE_CTX_get_error_depth(context) != 0) return ok;
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto* allowed =
      static_cast<const AllowedSans*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), AllowedIndex()));
  if (allowed == nullptr || CarriesOneOf(X509_STORE_CTX_get_current_cert(context), *allowed))
    return 1;
  X509_STORE_CTX_set_error(context, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

int AcceptAny(int, X509_STORE_CTX*) { return 1; }

Status UseCertificate(SSL_CTX* context, const ServerTlsOptions& options) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string cert_pem, ReadFile(options.cert_file));
  Result<std::vector<CertPtr>> certs = ParseCertificates(cert_pem);
  if (!certs.ok()) return certs.status().Annotate(options.cert_file);
  VEDETTE_ASSIGN_OR_RETURN(const std::string key_pem, ReadFile(options.key_file));
  Result<KeyPtr> key = ParseKey(key_pem);
  if (!key.ok()) return key.status().Annotate(options.key_file);
  if (SSL_CTX_use_certificate(context, certs->front().get()) != 1) {
    return OpenSslError(StrCat("use ", options.cert_file));
  }
  for (size_t i = 1; i < certs->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, (*certs)[i].get()) != 1) {
      return OpenSslError(StrCat("use the chain in ", options.cert_file));
    }
  }
  if (SSL_CTX_use_PrivateKey(context, key->get()) != 1) {
    ERR_clear_error();
    return InvalidArgument(
        StrCat(options.key_file, " is not the key of the certificate in ", options.cert_file));
  }
  return {};
}

Status UseClientAuth(SSL_CTX* context, const ServerTlsOptions& options) {
  const auto* auth = std::ranges::find(kClientAuth, options.client_auth_type, &ClientAuth::name);
  if (auth == kClientAuth.end()) {
    return InvalidArgument(StrCat("client_auth_type ", Quoted(options.client_auth_type),
                                  ": want NoClientCert, RequestClientCert, RequireAnyClientCert, "
                                  "VerifyClientCertIfGiven or RequireAndVerifyClientCert"));
  }
  if (auth->verify && options.client_ca_file.empty()) {
    return InvalidArgument(StrCat("client_auth_type ", auth->name, " needs client_ca_file"));
  }
  if (!auth->verify && (!options.client_ca_file.empty() || !options.client_allowed_sans.empty())) {
    return InvalidArgument(
        StrCat("client_ca_file and client_allowed_sans have no effect with "
               "client_auth_type ",
               auth->name, ": want RequireAndVerifyClientCert or VerifyClientCertIfGiven"));
  }
  int mode = auth->request ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
  if (auth->require) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, mode, auth->verify ? VerifyPeer : AcceptAny);
  if (!auth->verify) return {};

  VEDETTE_ASSIGN_OR_RETURN(const std::string ca_pem, ReadFile(options.client_ca_file));
  Result<std::vector<CertPtr>> cas = ParseCertificates(ca_pem);
  if (!cas.ok()) return cas.status().Annotate(options.client_ca_file);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const CertPtr& ca : *cas) {
    X509_STORE_add_cert(store, ca.get());
    SSL_CTX_add_client_CA(context, ca.get());
  }
  if (!options.client_crl_file.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string crl_pem, ReadFile(options.client_crl_file));
    Result<std::vector<CrlPtr>> crls = ParseCrls(crl_pem);
    if (!crls.ok()) return crls.status().Annotate(options.client_crl_file);
    for (const CrlPtr& crl : *crls) X509_STORE_add_crl(store, crl.get());
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  }
  if (!options.client_allowed_sans.empty()) {
    SSL_CTX_set_ex_data(context, AllowedIndex(), new AllowedSans(options.client_allowed_sans));
  }
  return {};
}

Status UsePolicy(SSL_CTX* context, const ServerTlsOptions& options) {
  VEDETTE_ASSIGN_OR_RETURN(const int min_version, Version(options.min_version, "min_version"));
  VEDETTE_ASSIGN_OR_RETURN(const int max_version, Version(options.max_version, "max_version"));
  if (min_version > max_version) return InvalidArgument("min_version is above max_version");
  SSL_CTX_set_min_proto_version(context, min_version);
  SSL_CTX_set_max_proto_version(context, max_version);
  uint64_t flags = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION;
  if (options.prefer_server_cipher_suites) flags |= SSL_OP_CIPHER_SERVER_PREFERENCE;
  SSL_CTX_set_options(context, flags);
  // A resumed session would skip the check of the client's certificate, and so its revocation.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);

  std::string suites;
  for (const std::string& name : options.cipher_suites) {
    if (std::ranges::find(kSuites13, name) != kSuites13.end()) continue;
    const std::string_view suite = Find(kSuites, name);
    if (suite.empty()) return InvalidArgument(StrCat("unknown cipher suite ", Quoted(name)));
    StrAppend(suites, suites.empty() ? "" : ":", suite);
  }
  if (!suites.empty() && SSL_CTX_set_cipher_list(context, suites.c_str()) != 1) {
    return OpenSslError("cipher_suites");
  }
  std::string curves;
  for (const std::string& name : options.curve_preferences) {
    const std::string_view curve = Find(kCurves, name);
    if (curve.empty()) return InvalidArgument(StrCat("unknown curve ", Quoted(name)));
    StrAppend(curves, curves.empty() ? "" : ":", curve);
  }
  if (!curves.empty() && SSL_CTX_set1_groups_list(context, curves.c_str()) != 1) {
    return OpenSslError("curve_preferences");
  }
  return {};
}

Result<std::shared_ptr<ssl_ctx_st>> MakeContext(const ServerTlsOptions& options) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (context == nullptr) return OpenSslError("make a TLS context");
  VEDETTE_RETURN_IF_ERROR(UsePolicy(context.get(), options));
  VEDETTE_RETURN_IF_ERROR(UseCertificate(context.get(), options));
  VEDETTE_RETURN_IF_ERROR(UseClientAuth(context.get(), options));
  return context;
}

}  // namespace

Result<std::unique_ptr<ServerTls>> ServerTls::Create(ServerTlsOptions options) {
  if (options.cert_file.empty()) return InvalidArgument("tls_server_config: no cert_file");
  if (options.key_file.empty()) return InvalidArgument("tls_server_config: no key_file");
  std::unique_ptr<ServerTls> out(new ServerTls(std::move(options)));
  std::string stamp = out->Stamp();
  Result<std::shared_ptr<ssl_ctx_st>> context = MakeContext(out->options_);
  if (!context.ok()) return context.status().Annotate("tls_server_config");
  MutexLock lock(out->mu_);
  out->context_ = *std::move(context);
  out->stamp_ = std::move(stamp);
  return out;
}

std::string ServerTls::Stamp() const {
  std::string out;
  for (const std::string* path : {&options_.cert_file, &options_.key_file, &options_.client_ca_file,
                                  &options_.client_crl_file}) {
    if (!path->empty()) StrAppend(out, FileStamp(*path), " ");
  }
  return out;
}

std::shared_ptr<ssl_ctx_st> ServerTls::Get() {
  std::string stamp = Stamp();
  {
    MutexLock lock(mu_);
    if (stamp == stamp_) return context_;
  }
  Result<std::shared_ptr<ssl_ctx_st>> fresh = MakeContext(options_);
  MutexLock lock(mu_);
  stamp_ = std::move(stamp);
  last_reload_ = fresh.status();
  if (fresh.ok()) context_ = *std::move(fresh);
  return context_;
}

Status ServerTls::LastReload() const {
  MutexLock lock(mu_);
  return last_reload_;
}

}  // namespace vedette::tls
