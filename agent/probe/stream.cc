#include "agent/probe/stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

template <typename T, void (*Free)(T*)>
struct Freed {
  void operator()(T* p) const { Free(p); }
};
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX, SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Freed<SSL, SSL_free>>;

std::string SslError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "the peer closed the connection";
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

double Expiry(const X509* certificate) {
  tm utc{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) != 1) return 0;
  return static_cast<double>(timegm(&utc));
}

std::string NameText(const X509_NAME* name) {
  const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(std::max(0L, size))};
}

std::string AlternativeNames(const X509* certificate) {
  std::string out;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS) continue;
    StrAppend(out, out.empty() ? "" : ",",
              std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                               static_cast<size_t>(ASN1_STRING_length(name->d.dNSName))));
  }
  GENERAL_NAMES_free(names);
  return out;
}

Status Configure(SSL_CTX* context, const config::TlsConfig& tls) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (!tls.ca_file.empty()) {
    if (SSL_CTX_load_verify_locations(context, tls.ca_file.c_str(), nullptr) != 1) {
      return InvalidArgument(StrCat(tls.ca_file, ": ", SslError()));
    }
  } else if (!tls.ca.empty()) {
    const std::unique_ptr<BIO, int (*)(BIO*)> in(
        BIO_new_mem_buf(tls.ca.data(), static_cast<int>(tls.ca.size())), BIO_free);
    while (X509* one = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one);
      X509_free(one);
    }
    ERR_clear_error();
  } else {
    SSL_CTX_set_default_verify_paths(context);
  }
  if (!tls.cert_file.empty() &&
      (SSL_CTX_use_certificate_chain_file(context, tls.cert_file.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1)) {
    return InvalidArgument(StrCat(tls.cert_file, ": ", SslError()));
  }
  SSL_CTX_set_verify(context, tls.insecure_skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                     nullptr);
  return {};
}

TlsFacts FactsOf(SSL* ssl) {
  TlsFacts facts;
  const STACK_OF(X509)* sent = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    const double expiry = Expiry(sk_X509_value(sent, i));
    if (facts.earliest_expiry_seconds == 0 || expiry < facts.earliest_expiry_seconds) {
      facts.earliest_expiry_seconds = expiry;
    }
  }
  if (SSL_get_verify_result(ssl) == X509_V_OK) {
    const STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl);
    for (int i = 0; i < sk_X509_num(chain); ++i) {
      const double expiry = Expiry(sk_X509_value(chain, i));
      if (facts.last_chain_expiry_seconds == 0 || expiry < facts.last_chain_expiry_seconds) {
        facts.last_chain_expiry_seconds = expiry;
      }
    }
  }
  facts.version = SSL_get_version(ssl);
  if (facts.version.starts_with("TLSv")) {
    facts.version = StrCat("TLS ", facts.version == "TLSv1" ? "1.0" : facts.version.substr(4));
  }
  facts.cipher = SSL_get_cipher_name(ssl);
  if (X509* own = SSL_get1_peer_certificate(ssl)) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    X509_digest(own, EVP_sha256(), digest, &size);
    char pair[3];
    for (unsigned int i = 0; i < size; ++i) {
      std::snprintf(pair, sizeof pair, "%02x", digest[i]);
      facts.fingerprint_sha256 += pair;
    }
    facts.subject = NameText(X509_get_subject_name(own));
    facts.issuer = NameText(X509_get_issuer_name(own));
    facts.subject_alternative = AlternativeNames(own);
    X509_free(own);
  }
  return facts;
}

}  // namespace

struct Stream::Tls {
  Context context;
  Session ssl;
};

Stream::Stream(int fd) : fd_(fd) {}

Stream::~Stream() {
  tls_.reset();
  close(fd_);
}

Status Stream::Wait(bool to_write, int64_t timeout_ms) const {
  pollfd wait{fd_, static_cast<short>(to_write ? POLLOUT : POLLIN), 0};
  const int n = poll(&wait, 1, static_cast<int>(std::min<int64_t>(timeout_ms, 1 << 30)));
  if (n > 0) return {};
  return n == 0 ? DeadlineExceeded("timeout") : Unavailable(std::strerror(errno));
}

Result<std::unique_ptr<Stream>> Stream::Connect(const Address& address, int64_t timeout_ms) {
  const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Unavailable(std::strerror(errno));
  std::unique_ptr<Stream> stream(new Stream(fd));
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 &&
      errno != EINPROGRESS) {
    return Unavailable(StrCat("connecting to ", address.text, ": ", std::strerror(errno)));
  }
  VEDETTE_RETURN_IF_ERROR(
      stream->Wait(true, timeout_ms).Annotate(StrCat("connecting to ", address.text)));
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    return Unavailable(StrCat("connecting to ", address.text, ": ", std::strerror(error)));
  }
  return stream;
}

Result<TlsFacts> Stream::StartTls(const config::TlsConfig& tls, const std::string& host,
                                  int64_t timeout_ms) {
  auto state = std::make_unique<Tls>();
  state->context.reset(SSL_CTX_new(TLS_client_method()));
  VEDETTE_RETURN_IF_ERROR(Configure(state->context.get(), tls));
  state->ssl.reset(SSL_new(state->context.get()));
  SSL* ssl = state->ssl.get();
  const std::string& name = tls.server_name.empty() ? host : tls.server_name;
  const bool is_address = name.find(':') != std::string::npos ||
                          name.find_first_not_of("0123456789.") == std::string::npos;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl, name.c_str());
    SSL_set1_host(ssl, name.c_str());
  }
  SSL_set_fd(ssl, fd_);
  const auto end = ProbeRun::Clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    const int n = SSL_connect(ssl);
    if (n == 1) break;
    const int why = SSL_get_error(ssl, n);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
      const long verify = SSL_get_verify_result(ssl);
      if (verify != X509_V_OK) {
        ERR_clear_error();
        return Unauthenticated(StrCat("TLS: ", X509_verify_cert_error_string(verify)));
      }
      return Unavailable(StrCat("TLS: ", SslError()));
    }
    const int64_t left = std::chrono::duration_cast<std::chrono::milliseconds>(
                             end - ProbeRun::Clock::now())
                             .count();
    VEDETTE_RETURN_IF_ERROR(Wait(why == SSL_ERROR_WANT_WRITE, std::max<int64_t>(left, 0))
                                .Annotate("TLS handshake"));
  }
  TlsFacts facts = FactsOf(ssl);
  tls_ = std::move(state);
  return facts;
}

Status Stream::Write(std::string_view bytes, int64_t timeout_ms) {
  while (!bytes.empty()) {
    int64_t n = 0;
    bool again = false, to_write = true;
    if (tls_ != nullptr) {
      n = SSL_write(tls_->ssl.get(), bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 1 << 20)));
      if (n <= 0) {
        const int why = SSL_get_error(tls_->ssl.get(), static_cast<int>(n));
        again = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
        to_write = why == SSL_ERROR_WANT_WRITE;
        if (!again) return Unavailable(StrCat("TLS: ", SslError()));
      }
    } else {
      n = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      again = n < 0 && (errno == EAGAIN || errno == EINTR);
      if (n < 0 && !again) return Unavailable(std::strerror(errno));
    }
    if (again) {
      VEDETTE_RETURN_IF_ERROR(Wait(to_write, timeout_ms));
      continue;
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<std::string> Stream::Read(int64_t timeout_ms) {
  char buffer[4096];
  for (;;) {
    int64_t n = 0;
    bool again = false, to_write = false;
    if (tls_ != nullptr) {
      n = SSL_read(tls_->ssl.get(), buffer, sizeof buffer);
      if (n <= 0) {
        const int why = SSL_get_error(tls_->ssl.get(), static_cast<int>(n));
        again = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
        to_write = why == SSL_ERROR_WANT_WRITE;
        if (!again) {
          ERR_clear_error();
          return OutOfRange("the peer closed the connection");
        }
      }
    } else {
      n = recv(fd_, buffer, sizeof buffer, 0);
      again = n < 0 && (errno == EAGAIN || errno == EINTR);
      if (n < 0 && !again) return Unavailable(std::strerror(errno));
      if (n == 0) return OutOfRange("the peer closed the connection");
    }
    if (!again) return std::string(buffer, static_cast<size_t>(n));
    VEDETTE_RETURN_IF_ERROR(Wait(to_write, timeout_ms));
  }
}

void AddTlsMetrics(const TlsFacts& facts, MetricSink& sink) {
  sink.Gauge("probe_ssl_earliest_cert_expiry",
             "When the first of the peer's certificates ends, in seconds since the Unix epoch.",
             facts.earliest_expiry_seconds);
  if (facts.last_chain_expiry_seconds != 0) {
    sink.Gauge("probe_ssl_last_chain_expiry_timestamp_seconds",
               "When the verified chain ends, in seconds since the Unix epoch.",
               facts.last_chain_expiry_seconds);
  }
  sink.Family("probe_ssl_last_chain_info", MetricType::kGauge, "What the peer's certificate says.");
  sink.Add({{"fingerprint_sha256", facts.fingerprint_sha256},
            {"issuer", facts.issuer},
            {"subject", facts.subject},
            {"subjectalternative", facts.subject_alternative}},
           1);
  sink.Family("probe_tls_version_info", MetricType::kGauge, "The version of TLS that is spoken.");
  sink.Add({{"version", facts.version}}, 1);
  sink.Family("probe_tls_cipher_info", MetricType::kGauge, "The cipher that is used.");
  sink.Add({{"cipher", facts.cipher}}, 1);
}

}  // namespace vedette::agent
