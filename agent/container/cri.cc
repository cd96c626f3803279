#include "agent/container/cri.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "proto/interop/cri.grpc.pb.h"

namespace vedette::agent {
namespace {

namespace cri = runtime::v1;

// A node runs some hundred containers; each is told in about a kilobyte.
constexpr int kMaxAnswerBytes = 32 << 20;
// Docker's own containerd does not speak CRI, and is not asked at every scrape.
constexpr int64_t kSilentNs = 60'000'000'000;

class Runtime {
 public:
  Runtime(std::string socket, int64_t timeout_ms, int64_t max_age_ms)
      : socket_(std::move(socket)), timeout_ms_(timeout_ms), max_age_ms_(max_age_ms) {}

  Result<std::vector<ContainerInfo>> List() VEDETTE_EXCLUDES(mu_) {
    if (access(socket_.c_str(), F_OK) != 0) return NotFound(StrCat("no socket ", socket_));
    if (access(socket_.c_str(), R_OK | W_OK) != 0) {
      return PermissionDenied(StrCat(socket_, ": ", std::strerror(errno)));
    }
    MutexLock lock(mu_);
    const int64_t now = SystemClock().MonotonicNs();
    if (silent_ns_ != 0 && now - silent_ns_ < kSilentNs) return NotFound(socket_);
    if (asked_ns_ != 0 && now - asked_ns_ < max_age_ms_ * 1'000'000) return last_;
    if (stub_ == nullptr) {
      grpc::ChannelArguments arguments;
      arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
      // The socket's path is no host name, and servers refuse it as one.
      arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
      stub_ = cri::RuntimeService::NewStub(grpc::CreateCustomChannel(
          "unix://" + socket_, grpc::InsecureChannelCredentials(), arguments));
    }
    std::vector<ContainerInfo> found;
    const Status listed = AddContainers(found);
    silent_ns_ = listed.code() == StatusCode::kNotFound ? now : 0;
    VEDETTE_RETURN_IF_ERROR(listed.Annotate(socket_));
    VEDETTE_RETURN_IF_ERROR(AddPods(found).Annotate(socket_));
    last_ = std::move(found);
    asked_ns_ = now;
    return last_;
  }

 private:
  template <typename Labels>
  static ContainerInfo Info(const std::string& id, const Labels& labels, bool running,
                            int64_t created_ns) {
    ContainerInfo info;
    info.id = id;
    info.running = running;
    info.created_seconds = static_cast<double>(created_ns) / 1e9;
    for (const auto& [name, value] : labels) info.labels.emplace(name, value);
    return info;
  }

  static Status ToStatus(const grpc::Status& status) {
    if (status.ok()) return {};
    if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      return NotFound("the runtime does not speak CRI (runtime.v1): nothing of Kubernetes' here");
    }
    return Unavailable(StrCat("the container runtime answered: ", status.error_message()));
  }

  void SetDeadline(grpc::ClientContext& context) const {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms_));
  }

  Status AddContainers(std::vector<ContainerInfo>& found) VEDETTE_REQUIRES(mu_) {
    grpc::ClientContext context;
    SetDeadline(context);
    cri::ListContainersResponse response;
    VEDETTE_RETURN_IF_ERROR(ToStatus(stub_->ListContainers(&context, {}, &response)));
    for (const cri::Container& c : response.containers()) {
      found.push_back(Info(c.id(), c.labels(), c.state() == cri::CONTAINER_RUNNING, c.created_at()));
      found.back().name = c.metadata().name();
      found.back().image = c.image().image();
    }
    return {};
  }

  Status AddPods(std::vector<ContainerInfo>& found) VEDETTE_REQUIRES(mu_) {
    grpc::ClientContext context;
    SetDeadline(context);
    cri::ListPodSandboxResponse response;
    VEDETTE_RETURN_IF_ERROR(ToStatus(stub_->ListPodSandbox(&context, {}, &response)));
    for (const cri::PodSandbox& p : response.items()) {
      found.push_back(Info(p.id(), p.labels(), p.state() == cri::SANDBOX_READY, p.created_at()));
      found.back().name = "POD";
    }
    return {};
  }

  const std::string socket_;
  const int64_t timeout_ms_, max_age_ms_;
  Mutex mu_;
  std::unique_ptr<cri::RuntimeService::Stub> stub_ VEDETTE_GUARDED_BY(mu_);
  std::vector<ContainerInfo> last_ VEDETTE_GUARDED_BY(mu_);
  int64_t asked_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
  int64_t silent_ns_ VEDETTE_GUARDED_BY(mu_) = 0;  // When it said that it does not speak CRI.
};

}  // namespace

ContainerList CriContainers(std::string socket_path, int64_t timeout_ms, int64_t max_age_ms) {
  auto runtime = std::make_shared<Runtime>(std::move(socket_path), timeout_ms, max_age_ms);
  return [runtime] { return runtime->List(); };
}

}  // namespace vedette::agent
