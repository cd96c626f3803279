#include "common/rpc/channel.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <chrono>
#include <climits>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/rpc/lock_cycles.h"
#include "common/rpc/verifier.h"

namespace vedette::rpc {
namespace {

// "[::1]:9" is ::1, "db1:9" is db1.
Result<std::string> HostOf(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == address.size()) {
    return InvalidArgument(StrCat("address ", Quoted(address), ": want HOST:PORT"));
  }
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

Status CheckServer(const tls::Identity& server, const std::string& name, tls::Role role) {
  if (!server.SpeaksFor(name)) {
    std::string names;
    for (const std::string& n : server.dns_names) StrAppend(names, names.empty() ? "" : ", ", n);
    for (const std::string& n : server.ip_addresses) StrAppend(names, names.empty() ? "" : ", ", n);
    return Unauthenticated(StrCat("certificate does not speak for ", Quoted(name), " but for ",
                                  names.empty() ? "nobody" : names, ": ", tls::Describe(server)));
  }
  if (role != tls::Role::kNone && server.role != role) {
    return Unauthenticated(
        StrCat("the peer should have the role ", tls::RoleName(role), ": ", tls::Describe(server)));
  }
  return {};
}

constexpr int kWindowBytes = 1 << 20;

// What is made once for the channels that agree in `key`, as long as one of them is there: a server
// has a channel to each of a thousand agents, and one set of files for all. Never deleted.
template <typename Key, typename T>
class Shared {
 public:
  // `make` runs under the lock, so that nobody makes a second one.
  template <typename Make>
  std::shared_ptr<T> Get(const Key& key, Make make) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    std::weak_ptr<T>& known = known_[key];
    std::shared_ptr<T> one = known.lock();
    if (one == nullptr) known = one = make();
    return one;
  }

 private:
  Mutex mu_;
  std::map<Key, std::weak_ptr<T>> known_ VEDETTE_GUARDED_BY(mu_);
};

// Each has a thread that reads the files once a second.
using Provider = grpc::experimental::FileWatcherCertificateProvider;
std::shared_ptr<Provider> ProviderOf(const ChannelOptions& o) {
  static auto* shared = new Shared<std::tuple<std::string, std::string, std::string, int>, Provider>;
  const tls::CertificateFiles& f = o.files;
  return shared->Get({f.key_file, f.cert_file, f.ca_file, o.certificate_refresh_seconds}, [&] {
    return std::make_shared<Provider>(f.key_file, f.cert_file, f.ca_file,
                                      static_cast<unsigned>(o.certificate_refresh_seconds));
  });
}

std::shared_ptr<tls::TrustStore> TrustOf(const ChannelOptions& o) {
  static auto* shared =
      new Shared<std::tuple<std::string, std::string, const Clock*>, tls::TrustStore>;
  return shared->Get({o.files.ca_file, o.files.crl_file, o.clock}, [&] {
    return std::make_shared<tls::TrustStore>(o.files.ca_file, o.files.crl_file, *o.clock);
  });
}

}  // namespace

Result<std::shared_ptr<grpc::Channel>> MakeChannel(ChannelOptions options) {
  IgnoreLockCycles();
  VEDETTE_ASSIGN_OR_RETURN(const std::string host, HostOf(options.address));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_receive_bytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, options.keepalive_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, options.keepalive_timeout_ms);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, options.min_reconnect_ms);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, options.min_reconnect_ms);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, options.max_reconnect_ms);
  // Without this, channels to one address share a connection, and with it somebody's certificate.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // An estimate of the line's bandwidth would cost a ping for every answer of an agent, and a thousand
  // of them are asked every few seconds; a window that takes any answer does as well.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  // Nobody reads gRPC's books about channels, and a server has one to each of a thousand agents; nor is
  // one ever idle whose stream stands.
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
  // An environment with a proxy for the web must not carry what is said between nodes.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (options.insecure) {
    return grpc::CreateCustomChannel(options.address, grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  VEDETTE_RETURN_IF_ERROR(tls::CheckFiles(options.files, *options.clock).status());
  const std::shared_ptr<tls::TrustStore> trust = TrustOf(options);
  const std::shared_ptr<Provider> provider = ProviderOf(options);
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.set_certificate_provider(provider);
  tls.watch_root_certs();
  tls.watch_identity_key_cert_pairs();
  // The chain, the name and the role are all checked by the Verifier, which can say what is wrong.
  tls.set_verify_server_certs(false);
  tls.set_check_call_host(false);
  const std::string name = options.expected_name.empty() ? host : options.expected_name;
  tls.set_certificate_verifier(grpc::experimental::ExternalCertificateVerifier::Create<Verifier>(
      trust,
      // The verifier lives as long as the channel, and keeps the provider for those that come later.
      [name, role = options.expected_role, provider](const tls::Identity& server,
                                                     std::string_view) {
        return CheckServer(server, name, role);
      },
      [events = options.events, address = options.address](const Status& reason) {
        if (!events) return;
        events({.kind = EventKind::kHandshakeRefused,
                .message = StrCat("server ", address, " refused: ", reason.message()),
                .fields = {{"address", address}, {"reason", std::string(reason.message())}}});
      }));
  return grpc::CreateCustomChannel(options.address, grpc::experimental::TlsCredentials(tls),
                                   arguments);
}

PeerCheck::PeerCheck(ChannelOptions options)
    : name_(options.expected_name.empty()
                ? HostOf(options.address).ok() ? *HostOf(options.address) : options.address
                : options.expected_name),
      role_(options.expected_role),
      trust_(options.insecure ? nullptr : TrustOf(options)) {}

Status PeerCheck::Check(const grpc::ClientContext& context) const {
  if (trust_ == nullptr) return {};
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  const auto property = [&](const char* name) {
    if (auth == nullptr) return std::string_view();
    const std::vector<grpc::string_ref> values = auth->FindPropertyValues(name);
    return values.empty() ? std::string_view()
                          : std::string_view(values.front().data(), values.front().size());
  };
  MutexLock lock(mu_);
  VEDETTE_ASSIGN_OR_RETURN(const tls::Identity* server,
                           trust_->VerifyAgain(property("x509_pem_cert"),
                                               property("x509_pem_cert_chain"), believed_));
  return CheckServer(*server, name_, role_);
}

void SetTimeout(grpc::ClientContext& context, int64_t timeout_ms) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
}

}  // namespace vedette::rpc
