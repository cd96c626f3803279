#include "server/discovery/manager.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "server/discovery/aws_credentials.h"
#include "server/discovery/consul_provider.h"
#include "server/discovery/directory_watcher.h"
#include "server/discovery/dns_provider.h"
#include "server/discovery/docker_provider.h"
#include "server/discovery/ec2_provider.h"
#include "server/discovery/file_provider.h"
#include "server/discovery/http_provider.h"
#include "server/discovery/kubernetes_provider.h"

namespace vedette::discovery {
namespace {

size_t CountTargets(const std::vector<TargetGroup>& groups) {
  size_t count = 0;
  for (const TargetGroup& group : groups) count += group.targets.size();
  return count;
}

}  // namespace

class DiscoveryManager::Impl {
 public:
  explicit Impl(Options options)
      : options_(std::move(options)),
        watcher_([this](const std::string& directory) { DirectoryChanged(directory); }),
        publisher_([this] { Publish(); }) {}

  ~Impl() { Stop(); }

  Status ApplyConfig(const std::map<std::string, config::DiscoveryConfig>& configs)
      VEDETTE_EXCLUDES(mu_) {
    // First everything that can be refused, so that a bad configuration changes nothing.
    for (const auto& [name, config] : configs) {
      for (const config::SdConfig& sd : config.dynamic) {
        Events no_events;
        Result<std::unique_ptr<Provider>> provider = MakeProvider(name, sd, no_events);
        if (!provider.ok()) return provider.status();
      }
    }
    MutexLock one_at_a_time(apply_mu_);
    std::vector<std::shared_ptr<Job>> gone;
    std::vector<std::shared_ptr<Worker>> fresh;
    {
      MutexLock lock(mu_);
      if (stopping_) return Cancelled("discovery is stopping");
      for (auto it = jobs_.begin(); it != jobs_.end();) {
        auto wanted = configs.find(it->first);
        if (wanted != configs.end() && wanted->second == it->second->config) {
          ++it;
          continue;
        }
        gone.push_back(it->second);
        it = jobs_.erase(it);
      }
      for (const auto& [name, config] : configs) {
        if (jobs_.contains(name)) continue;
        auto job = std::make_shared<Job>();
        job->config = config;
        for (const config::SdConfig& sd : config.dynamic) {
          Result<std::unique_ptr<Provider>> provider = MakeProvider(name, sd, options_.events);
          if (!provider.ok()) return provider.status();  // Cannot be: checked above.
          auto worker = std::make_shared<Worker>();
          worker->job = name;
          worker->provider = *std::move(provider);
          worker->prefix = StrCat(worker->provider->mechanism(), "/", job->workers.size(), "/");
          worker->directories = worker->provider->watched_directories();
          job->workers.push_back(worker);
          fresh.push_back(std::move(worker));
        }
        jobs_[name] = std::move(job);
      }
      for (const auto& job : gone) {
        for (const auto& worker : job->workers) worker->stop = true;
      }
      dirty_ = true;
      changed_.NotifyAll();
    }
    for (const auto& job : gone) Join(*job);
    for (const auto& worker : fresh) {
      // The watch comes before the first look: a change in between is seen by one of them.
      for (const std::string& directory : worker->directories) watcher_.Watch(directory);
      worker->thread = std::thread([this, worker] { Work(*worker); });
    }
    return Status();
  }

  TargetGroupsSnapshot snapshot() const VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return published_;
  }

  void Stop() VEDETTE_EXCLUDES(mu_) {
    MutexLock one_at_a_time(apply_mu_);
    std::map<std::string, std::shared_ptr<Job>> jobs;
    {
      MutexLock lock(mu_);
      stopping_ = true;
      jobs.swap(jobs_);
      for (const auto& [name, job] : jobs) {
        for (const auto& worker : job->workers) worker->stop = true;
      }
      changed_.NotifyAll();
    }
    for (const auto& [name, job] : jobs) Join(*job);
    watcher_.Stop();
    if (publisher_.joinable()) publisher_.join();
  }

 private:
  // Fields of a Worker and a Job are guarded by mu_, but for those set before its thread starts.
  struct Worker {
    std::string job;
    std::unique_ptr<Provider> provider;  // The thread's own.
    std::string prefix;                  // Keeps the sources of two providers apart.
    std::vector<std::string> directories;
    std::thread thread;
    bool stop = false;
    bool kicked = false;
    std::vector<TargetGroup> groups;
  };
  struct Job {
    config::DiscoveryConfig config;
    std::vector<std::shared_ptr<Worker>> workers;
  };

  Result<std::unique_ptr<Provider>> MakeProvider(const std::string& job, const config::SdConfig& sd,
                                                 const Events& events) const {
    if (const auto* file = std::get_if<config::FileSdConfig>(&sd)) {
      return std::unique_ptr<Provider>(std::make_unique<FileProvider>(*file, events));
    }
    if (const auto* dns = std::get_if<config::DnsSdConfig>(&sd)) {
      return std::unique_ptr<Provider>(std::make_unique<DnsProvider>(*dns));
    }
    if (!options_.http) {
      return FailedPrecondition(StrCat("job ", Quoted(job), ": discovery over HTTP: no client"));
    }
    if (const auto* http = std::get_if<config::HttpSdConfig>(&sd)) {
      return std::unique_ptr<Provider>(std::make_unique<HttpProvider>(*http, options_.http));
    }
    if (const auto* ec2 = std::get_if<config::Ec2SdConfig>(&sd)) {
      AwsPorts ports{.http = options_.http,
                     .env = options_.env ? options_.env : ProcessEnvironment()};
      return std::unique_ptr<Provider>(std::make_unique<Ec2Provider>(*ec2, std::move(ports)));
    }
    if (const auto* docker = std::get_if<config::DockerSdConfig>(&sd)) {
      return std::unique_ptr<Provider>(std::make_unique<DockerProvider>(*docker, options_.http));
    }
    if (const auto* kubernetes = std::get_if<config::KubernetesSdConfig>(&sd)) {
      return std::unique_ptr<Provider>(std::make_unique<KubernetesProvider>(
          *kubernetes, options_.http, options_.env ? options_.env : ProcessEnvironment()));
    }
    return std::unique_ptr<Provider>(std::make_unique<ConsulProvider>(
        std::get<config::ConsulSdConfig>(sd), options_.http));
  }

  static void Join(Job& job) {
    for (const auto& worker : job.workers) {
      if (worker->thread.joinable()) worker->thread.join();
    }
  }

  void DirectoryChanged(const std::string& directory) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    for (const auto& [name, job] : jobs_) {
      for (const auto& worker : job->workers) {
        const auto& watched = worker->directories;
        if (std::find(watched.begin(), watched.end(), directory) != watched.end()) {
          worker->kicked = true;
        }
      }
    }
    changed_.NotifyAll();
  }

  // A worker's thread: look, store, wait.
  void Work(Worker& worker) VEDETTE_EXCLUDES(mu_) {
    pthread_setname_np(pthread_self(),
                       StrCat("sd-", worker.provider->mechanism()).substr(0, 15).c_str());
    while (true) {
      const auto begin = std::chrono::steady_clock::now();
      Status problem;
      Result<std::vector<TargetGroup>> found = worker.provider->Refresh(problem);
      if (!found.ok()) problem = found.status();
      const double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      const Events& events = options_.events;
      if (!problem.ok() && events.refresh_failed) {
        events.refresh_failed(worker.provider->mechanism(), worker.job, problem);
      }
      if (problem.ok() && events.refreshed) {
        events.refreshed(worker.provider->mechanism(), worker.job, seconds);
      }
      if (found.ok()) {
        for (TargetGroup& group : *found) group.source = worker.prefix + group.source;
      }

      // Directories that did not exist before, or were made anew, are watched from now on.
      for (const std::string& directory : worker.directories) watcher_.Watch(directory);

      bool news = false;
      {
        MutexLock lock(mu_);
        if (found.ok() && *found != worker.groups) {
          worker.groups = *std::move(found);
          dirty_ = true;
          changed_.NotifyAll();
          news = true;
        }
      }
      if (news && events.updated) events.updated(worker.provider->mechanism(), worker.job);

      MutexLock lock(mu_);
      const auto deadline =
          begin + std::chrono::milliseconds(worker.provider->refresh_interval_ms());
      while (!worker.stop && !worker.kicked) {
        const int64_t left_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                    deadline - std::chrono::steady_clock::now())
                                    .count();
        if (left_ms <= 0) break;
        changed_.WaitFor(mu_, left_ms);
      }
      worker.kicked = false;
      if (worker.stop) return;
    }
  }

  void Publish() VEDETTE_EXCLUDES(mu_) {
    pthread_setname_np(pthread_self(), "sd-publish");
    while (true) {
      std::map<std::string, size_t> counts;
      TargetGroupsSnapshot snapshot;
      {
        MutexLock lock(mu_);
        while (!dirty_ && !stopping_) changed_.Wait(mu_);
        // What comes within the debounce time goes out together.
        const auto until =
            std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.debounce_ms);
        while (!stopping_) {
          const int64_t left_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                      until - std::chrono::steady_clock::now())
                                      .count();
          if (left_ms <= 0) break;
          changed_.WaitFor(mu_, left_ms);
        }
        if (stopping_) return;
        dirty_ = false;
        snapshot = Gather();
        published_ = snapshot;
      }
      if (options_.events.discovered) {
        for (const auto& [job, groups] : *snapshot) {
          options_.events.discovered(job, CountTargets(groups));
        }
      }
      if (options_.publish) options_.publish(std::move(snapshot));
    }
  }

  TargetGroupsSnapshot Gather() const VEDETTE_REQUIRES(mu_) {
    auto all = std::make_shared<TargetGroups>();
    for (const auto& [name, job] : jobs_) {
      std::vector<TargetGroup>& groups = (*all)[name];
      for (size_t i = 0; i < job->config.static_configs.size(); ++i) {
        const config::StaticConfig& given = job->config.static_configs[i];
        TargetGroup& group = groups.emplace_back();
        group.source = StrCat("static/", i);
        group.labels = given.labels;
        for (const std::string& target : given.targets) {
          group.targets.push_back(Labels::Of({{"__address__", target}}));
        }
      }
      for (const auto& worker : job->workers) {
        groups.insert(groups.end(), worker->groups.begin(), worker->groups.end());
      }
    }
    return all;
  }

  const Options options_;
  Mutex apply_mu_;  // Taken before mu_: one ApplyConfig or Stop at a time.
  mutable Mutex mu_;
  CondVar changed_;
  std::map<std::string, std::shared_ptr<Job>> jobs_ VEDETTE_GUARDED_BY(mu_);
  bool dirty_ VEDETTE_GUARDED_BY(mu_) = false;
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  TargetGroupsSnapshot published_ VEDETTE_GUARDED_BY(mu_) = std::make_shared<const TargetGroups>();
  DirectoryWatcher watcher_;
  std::thread publisher_;  // Last: it uses all of the above.
};

DiscoveryManager::DiscoveryManager(Options options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

DiscoveryManager::~DiscoveryManager() = default;

Status DiscoveryManager::ApplyConfig(const std::map<std::string, config::DiscoveryConfig>& jobs) {
  return impl_->ApplyConfig(jobs);
}

TargetGroupsSnapshot DiscoveryManager::snapshot() const { return impl_->snapshot(); }

void DiscoveryManager::Stop() { impl_->Stop(); }

}  // namespace vedette::discovery
