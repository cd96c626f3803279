#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/tls/identity.h"
#include "common/tls/trust.h"

namespace vedette::tls {

// A node's certificate folder, as 'vedettectl join' fills it and 'vedettectl renew' keeps it:
//
//   NAME.key (0600), NAME.crt, ca.crt, ca.crl
//   join.txt   where it came from: "server HOST:PORT", "server_name NAME", "name NAME"
//
// Key and certificate are two files, and a crash may fall between them: both are first written
// beside (NAME.key.new, NAME.crt.new), then moved, the key first. Finish() completes a move that
// was cut short.
struct NodeFiles {
  std::string dir;
  std::string name;

  CertificateFiles paths() const;
  Status Finish() const;
  // Makes the folder if it must. `cert_pem` must be of `key_pem` and signed by a CA in `ca_pem`.
  Status Store(std::string_view key_pem, std::string_view cert_pem, std::string_view ca_pem,
               std::string_view crl_pem) const;
};

struct JoinRecord {
  std::string server;       // HOST:PORT of the enrolment door.
  std::string server_name;  // Whose certificate it shows.
  std::string name;         // Ours.
};
Status WriteJoinRecord(const std::string& dir, const JoinRecord& record);
Result<JoinRecord> ReadJoinRecord(const std::string& dir);

// At two thirds of a certificate's life there is time left for a server that is down for a while.
int64_t RenewAtMs(const Identity& identity);

}  // namespace vedette::tls
