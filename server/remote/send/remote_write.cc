#include "server/remote/send/remote_write.h"

#include <iterator>
#include <utility>

#include "common/base/strings.h"
#include "common/log/log.h"

namespace vedette::remote {
namespace {

// What a destination's cursor belongs to. Hashed, because a URL may hold a password.
std::string IdOf(const config::RemoteWriteConfig& config, int same) {
  if (!config.name.empty()) return StrCat("name-", config.name);
  const uint64_t hash = Labels::Of({{"url", config.url}}).Hash();
  return same == 0 ? StrCat("url-", hash) : StrCat("url-", hash, "-", same);
}

}  // namespace

RemoteWrite::RemoteWrite(Options options, storage::Appender& inner, storage::KeyValue& key_value,
                         const storage::MetadataQueryable& metadata, const Clock& clock,
                         metrics::Registry& registry)
    : options_(std::move(options)),
      metadata_(metadata),
      clock_(clock),
      registry_(registry),
      queue_(key_value, options_.max_queue_bytes),
      appender_(inner, queue_, clock) {
  const QueuedCounts& counts = appender_.counts();
  const auto counter = [&](const char* name, const char* help, const std::atomic<uint64_t>& v) {
    registry.AddCounterFn(name, help, [&v] { return static_cast<double>(v.load()); });
  };
  counter("prometheus_remote_storage_samples_in_total", "Samples put into the queue.",
          counts.samples);
  counter("prometheus_remote_storage_histograms_in_total", "Histograms put into the queue.",
          counts.histograms);
  counter("prometheus_remote_storage_exemplars_in_total", "Exemplars put into the queue.",
          counts.exemplars);
  counter("vedette_remote_storage_queue_failed_commits_total",
          "Commits that the queue could not take: stored here, never sent.", counts.failed_commits);
  registry.AddGaugeFn("prometheus_remote_storage_highest_timestamp_in_seconds",
                      "The newest instant put into the queue.",
                      [&counts] { return static_cast<double>(counts.newest_ms.load()) / 1000; });
  // Beside queue_highest_sent_timestamp_seconds, with its labels: the difference is how far behind a
  // receiver is.
  registry.AddCallback([this](std::vector<MetricFamily>& out) {
    constexpr std::string_view kName = "prometheus_remote_storage_queue_highest_timestamp_seconds";
    MetricFamily family{.name = std::string(kName),
                        .metadata = {.type = MetricType::kGauge,
                                     .help = "The newest instant that waits for this receiver, or "
                                             "has been sent to it."}};
    const double newest = static_cast<double>(appender_.counts().newest_ms.load()) / 1000;
    MutexLock lock(mu_);
    for (const auto& [id, shown] : shown_) {
      family.samples.push_back({.labels = Labels::Of({{kMetricNameLabel, kName},
                                                      {"remote_name", shown.name},
                                                      {"url", shown.url}}),
                                .value = newest});
    }
    if (!family.samples.empty()) out.push_back(std::move(family));
  });
  registry.AddGaugeFn("vedette_remote_storage_queue_entries", "Commits that wait in the queue.",
                      [this] { return static_cast<double>(queue_.head() - queue_.tail()); });
  registry.AddGaugeFn("vedette_remote_storage_queue_bytes", "What they take.",
                      [this] { return static_cast<double>(queue_.bytes()); });
}

Result<std::unique_ptr<RemoteWrite>> RemoteWrite::Open(Options options, storage::Appender& inner,
                                                       storage::KeyValue& key_value,
                                                       const storage::MetadataQueryable& metadata,
                                                       const Clock& clock,
                                                       metrics::Registry& registry) {
  std::unique_ptr<RemoteWrite> out(
      new RemoteWrite(std::move(options), inner, key_value, metadata, clock, registry));
  VEDETTE_RETURN_IF_ERROR(out->queue_.Open().Annotate("the queue of remote write"));
  return out;
}

RemoteWrite::~RemoteWrite() { Stop(); }

void RemoteWrite::Stop() {
  MutexLock lock(mu_);
  senders_.clear();
}

Status RemoteWrite::Apply(const std::vector<config::RemoteWriteConfig>& configs,
                          const Labels& external_labels) {
  MutexLock lock(mu_);
  // Whatever may be refused comes first.
  std::map<std::string, Sender::Options> wanted;
  std::map<std::string, int> same_url;
  for (const config::RemoteWriteConfig& config : configs) {
    const int same = config.name.empty() ? same_url[config.url]++ : 0;
    const std::string id = IdOf(config, same);
    Result<Post> post = options_.make_post(config);
    const std::string url = options_.safe_url(config.url);
    if (!post.ok()) return post.status().Annotate(StrCat("remote_write ", url));
    VEDETTE_RETURN_IF_ERROR(
        relabel::Relabeler::Compile(config.write_relabel_configs).status().Annotate(url));
    wanted[id] = {.id = id,
                  .name = config.name.empty() ? id.substr(4, 6) : config.name,
                  .url = url,
                  .config = config,
                  .external_labels = external_labels,
                  .post = *std::move(post),
                  .rewind_ms = options_.rewind_ms};
  }
  for (const auto& [id, options] : wanted) {
    VEDETTE_RETURN_IF_ERROR(queue_.AddDestination(id));
  }

  std::erase_if(senders_, [&](const auto& one) {
    const auto it = wanted.find(one.first);
    return it == wanted.end() || it->second.config != one.second->config() ||
           it->second.external_labels != one.second->external_labels();
  });
  for (auto it = shown_.begin(); it != shown_.end();) {
    it = senders_.contains(it->first) ? std::next(it) : shown_.erase(it);
  }
  for (const std::string& id : queue_.Destinations()) {
    if (wanted.contains(id)) continue;
    VEDETTE_RETURN_IF_ERROR(queue_.RemoveDestination(id));
  }
  for (auto& [id, options] : wanted) {
    if (senders_.contains(id)) continue;
    shown_[id] = {options.name, options.url};
    log::Info("remote write", {{"remote_name", options.name}, {"url", options.url}});
    VEDETTE_ASSIGN_OR_RETURN(
        senders_[id], Sender::Start(std::move(options), queue_, &metadata_, clock_, registry_));
  }
  return {};
}

}  // namespace vedette::remote
