#include "ctl/connection.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "common/base/strings.h"
#include "common/rpc/channel.h"
#include "common/rpc/event.h"

namespace vedette::ctl {
namespace {

namespace fs = std::filesystem;

void FromEnvironment(std::string& field, const char* name) {
  if (!field.empty()) return;
  if (const char* value = std::getenv(name)) field = value;
}

// Sets cert and key if `dir` holds exactly one pair.
Status FindPair(const fs::path& dir, std::string& cert_file, std::string& key_file) {
  std::error_code error;
  int pairs = 0;
  fs::path found;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    fs::path path = entry.path();
    if (path.extension() != ".crt" || path.stem() == "ca") continue;
    if (!fs::exists(fs::path(path).replace_extension(".key"), error)) continue;
    found = path;
    ++pairs;
  }
  if (pairs > 1) {
    return FailedPrecondition(
        StrCat("several certificates in ", dir.string(), ": choose one with --cert and --key"));
  }
  if (pairs == 1) {
    cert_file = found.string();
    key_file = found.replace_extension(".key").string();
  }
  return {};
}

}  // namespace

Status Connection::FillDefaults() {
  FromEnvironment(address, "VEDETTE_SERVER");
  if (address.empty()) address = "localhost:9466";
  if (insecure) return {};
  FromEnvironment(ca_file, "VEDETTE_CA");
  FromEnvironment(cert_file, "VEDETTE_CERT");
  FromEnvironment(key_file, "VEDETTE_KEY");
  const char* home = std::getenv("HOME");
  const fs::path dir = fs::path(home == nullptr ? "" : home) / ".config" / "vedette";
  std::error_code error;
  if (ca_file.empty() && fs::exists(dir / "ca.crt", error)) ca_file = (dir / "ca.crt").string();
  if (cert_file.empty() && key_file.empty()) {
    VEDETTE_RETURN_IF_ERROR(FindPair(dir, cert_file, key_file));
  }
  if (ca_file.empty() || cert_file.empty() || key_file.empty()) {
    return FailedPrecondition(StrCat(
        "no certificate to show: give --ca, --cert and --key (or VEDETTE_CA, VEDETTE_CERT and "
        "VEDETTE_KEY), or make one with 'vedettectl ca issue --role operator --name you --out ",
        dir.string(), "'"));
  }
  return {};
}

Result<std::shared_ptr<grpc::Channel>> Connection::Open(tls::Role expected_role) const {
  rpc::ChannelOptions options;
  options.address = address;
  // The list lies beside the CA where 'ca issue' puts both; without one nothing is revoked.
  const std::string crl = (fs::path(ca_file).parent_path() / "ca.crl").string();
  options.files = {
      .ca_file = ca_file, .crl_file = crl, .cert_file = cert_file, .key_file = key_file};
  options.insecure = insecure;
  options.expected_name = server_name;
  options.expected_role = expected_role;
  return rpc::MakeChannel(std::move(options));
}

}  // namespace vedette::ctl
