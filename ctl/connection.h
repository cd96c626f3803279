#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/tls/identity.h"

namespace grpc {
class Channel;
}

namespace vedette::ctl {

// How a verb reaches a server or an agent: --server, --ca, --cert, --key, --insecure and so on.
// What is empty comes from the environment (VEDETTE_SERVER, VEDETTE_CA, VEDETTE_CERT, VEDETTE_KEY),
// then from ~/.config/vedette: ca.crt, and the one NAME.crt there that has a NAME.key.
struct Connection {
  std::string address;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::string server_name;  // Whose certificate is expected; empty: the host of the address.
  bool insecure = false;
  int64_t timeout_ms = 30'000;

  Status FillDefaults();
  Result<std::shared_ptr<grpc::Channel>> Open(tls::Role expected_role) const;
};

}  // namespace vedette::ctl
