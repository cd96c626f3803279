#include "ctl/join.h"

#include <ostream>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/rpc/enrol.h"
#include "common/tls/identity.h"
#include "ctl/output.h"
#include "ctl/secret_file.h"

namespace vedette::ctl {
namespace {

void Print(const rpc::Enrolled& enrolled, std::string_view done, std::ostream& out) {
  out << (enrolled.changed ? done : "nothing to do: still good") << ": "
      << tls::Describe(enrolled.identity) << ", valid until "
      << FormatTime(enrolled.identity.not_after_ms) << ", in " << enrolled.files.cert_file << "\n";
}

}  // namespace

Status Join::Run(const Clock& clock, std::ostream& out, std::ostream& notes) const {
  const Result<int64_t> deadline_ms = ParseDuration(deadline);
  if (!deadline_ms.ok()) return deadline_ms.status().Annotate("--deadline");
  rpc::JoinOptions options;
  options.server = server;
  options.name = name;
  options.sans = sans;
  options.dir = out_dir;
  options.deadline_ms = *deadline_ms;
  options.clock = &clock;
  options.retrying = [&](const Status& reason, int64_t wait_ms) {
    notes << "not yet (" << reason.message() << "); again in "
          << static_cast<double>(wait_ms) / 1000 << " s" << std::endl;
  };
  // A node that has joined may have lost its token file since: it was of no further use.
  const Result<tls::JoinToken> token = ReadTokenFile(token_file);
  if (token.ok()) options.token = *token;
  const Result<rpc::Enrolled> joined = rpc::Join(options);
  if (!joined.ok()) return token.ok() ? joined.status() : token.status();
  Print(*joined, "joined", out);
  return {};
}

Status Renew::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const rpc::Enrolled renewed, rpc::Renew({.dir = dir,
                                                                    .server = server,
                                                                    .server_name = server_name,
                                                                    .force = force,
                                                                    .clock = &clock}));
  Print(renewed, "renewed", out);
  return {};
}

}  // namespace vedette::ctl
