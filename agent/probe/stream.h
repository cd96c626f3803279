#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/probe/address.h"
#include "common/base/status.h"
#include "common/config/http_client.h"

namespace vedette::agent {

// What a TLS handshake showed.
struct TlsFacts {
  double earliest_expiry_seconds = 0;    // Of the certificates the peer sent.
  double last_chain_expiry_seconds = 0;  // Of the verified chain that lasts longest; 0: none was.
  std::string version;                   // "TLS 1.3"
  std::string cipher;
  std::string fingerprint_sha256, subject, issuer, subject_alternative;
};

// A TCP connection, plain at first, with a deadline on everything. Not thread-safe.
class Stream {
 public:
  static Result<std::unique_ptr<Stream>> Connect(const Address& address, int64_t timeout_ms);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // From here on TLS. `host` is the name that is checked, unless the configuration has another.
  Result<TlsFacts> StartTls(const config::TlsConfig& tls, const std::string& host,
                            int64_t timeout_ms);
  Status Write(std::string_view bytes, int64_t timeout_ms);
  // What has come, at least a byte; OUT_OF_RANGE at the end.
  Result<std::string> Read(int64_t timeout_ms);

 private:
  struct Tls;
  explicit Stream(int fd);
  Status Wait(bool to_write, int64_t timeout_ms) const;

  const int fd_;
  std::unique_ptr<Tls> tls_;
};

// probe_ssl_earliest_cert_expiry, probe_ssl_last_chain_expiry_timestamp_seconds,
// probe_tls_version_info and probe_ssl_last_chain_info.
void AddTlsMetrics(const TlsFacts& facts, MetricSink& sink);

}  // namespace vedette::agent
