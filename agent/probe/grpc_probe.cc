#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "agent/probe/address.h"
#include "agent/probe/prober.h"
#include "agent/probe/stream.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr std::string_view kServing[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// grpc.health.v1.HealthCheckRequest{service} and HealthCheckResponse{status}, by hand: two fields
// are not worth a generated header.
grpc::ByteBuffer HealthRequest(const std::string& service) {
  std::string bytes;
  if (!service.empty()) {
    bytes.push_back('\x0a');
    for (size_t n = service.size(); ; n >>= 7) {
      bytes.push_back(static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
      if (n <= 0x7f) break;
    }
    bytes += service;
  }
  grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

int HealthStatus(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok() || slice.size() < 2) return 0;
  return slice.begin()[0] == 0x08 ? slice.begin()[1] : 0;
}

}  // namespace

bool ProbeGrpc(const GrpcModule& module, const std::string& target, ProbeRun& run) {
  std::string whole = target;
  bool tls = module.tls;
  if (whole.starts_with("grpcs://")) tls = true;
  if (const size_t scheme = whole.find("://"); scheme != std::string::npos) {
    whole = whole.substr(scheme + 3);
  }
  const auto [host, port] = SplitHostPort(whole);
  MetricSink& sink = run.sink;
  double check_seconds = 0;
  int code = -1, serving = -1;
  const std::optional<Address> address =
      port.empty() ? std::nullopt : Resolve(host, port, module.ip, run);
  const auto work = [&]() -> bool {
    if (port.empty()) return run.Fail(StrCat(Quoted(target), ": a grpc probe needs host:port"));
    if (!address) return false;
    std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
    grpc::ChannelArguments arguments;
    if (tls) {
      // The certificate is looked at by a handshake of our own; gRPC does not show it.
      auto stream = Stream::Connect(*address, run.left_ms());
      if (!stream.ok()) return run.Fail(stream.status().message());
      const Result<TlsFacts> facts =
          (*stream)->StartTls(module.tls_config, host, run.left_ms());
      if (!facts.ok()) return run.Fail(facts.status().message());
      AddTlsMetrics(*facts, sink);
      grpc::SslCredentialsOptions ssl;
      if (!module.tls_config.ca_file.empty()) {
        ssl.pem_root_certs = ReadFile(module.tls_config.ca_file);
      }
      if (!module.tls_config.cert_file.empty()) {
        ssl.pem_cert_chain = ReadFile(module.tls_config.cert_file);
        ssl.pem_private_key = ReadFile(module.tls_config.key_file);
      }
      credentials = grpc::SslCredentials(ssl);
      const std::string& name =
          module.tls_config.server_name.empty() ? host : module.tls_config.server_name;
      arguments.SetSslTargetNameOverride(name);
    }
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const std::string to = address->ip6 ? StrCat("ipv6:[", address->text, "]:", port)
                                        : StrCat("ipv4:", address->text, ":", port);
    const auto begin = ProbeRun::Clock::now();
    grpc::GenericStub stub(grpc::CreateCustomChannel(to, credentials, arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(run.left_ms()));
    grpc::CompletionQueue queue;
    auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check",
                                      HealthRequest(module.service), &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    check_seconds = SecondsSince(begin);
    code = status.error_code();
    if (!status.ok()) return run.Fail(StrCat("status ", code, ": ", status.error_message()));
    serving = HealthStatus(response);
    return serving == 1 ||
           run.Fail(StrCat("the service says ", kServing[std::clamp(serving, 0, 3)]));
  };
  const bool success = work();
  sink.Family("probe_grpc_duration_seconds", MetricType::kGauge,
              "What the phases of the probe took, in seconds.");
  sink.Add({{"phase", "resolve"}}, address ? address->lookup_seconds : 0);
  sink.Add({{"phase", "check"}}, check_seconds);
  sink.Gauge("probe_grpc_ssl", "1 if the connection is by TLS.", tls ? 1 : 0);
  sink.Gauge("probe_grpc_status_code", "gRPC's status code of the answer; -1: there was none.",
             code);
  sink.Family("probe_grpc_healthcheck_response", MetricType::kGauge,
              "1 for what the health service said.");
  for (int i = 0; i < 4; ++i) {
    sink.Add({{"serving_status", kServing[i]}}, serving == i ? 1 : 0);
  }
  return success;
}

}  // namespace vedette::agent
