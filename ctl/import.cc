#include "ctl/import.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/compress/compress.h"
#include "common/config/alertmanager.h"
#include "common/config/prometheus.h"
#include "common/config/rules.h"
#include "common/exposition/text_parser.h"
#include "common/http/client.h"
#include "common/http/client_options.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "ctl/output.h"
#include "ctl/prometheus_block.h"
#include "server/remote/send/request_body.h"

namespace vedette::ctl {
namespace {

constexpr size_t kBatch = 5'000;
constexpr size_t kMaxTextBytes = size_t{2} << 30;
constexpr int64_t kTimeoutMs = 120'000;

// Collects samples into requests of remote write, and counts what became of them.
class Feeder {
 public:
  explicit Feeder(const ImportTarget& target) : client_(Options(target)), url_(target.url) {
    while (url_.ends_with('/')) url_.pop_back();
    url_ += "/api/v1/write";
  }

  Status Add(const Labels& labels, std::span<const Sample> samples) {
    auto series = std::make_shared<remote::OutSeries>();
    series->labels = labels;
    series->encoded = remote::EncodeLabelsV1(labels);
    for (const Sample& s : samples) {
      oldest_ = std::min(oldest_, s.t_ms);
      newest_ = std::max(newest_, s.t_ms);
      pieces_.push_back({.series = series, .t_ms = s.t_ms, .value = s.value});
      if (pieces_.size() < kBatch) continue;
      VEDETTE_RETURN_IF_ERROR(Flush());
    }
    return {};
  }

  Status Flush() {
    if (pieces_.empty()) return {};
    http::ClientRequest request{.method = "POST", .url = url_};
    request.headers.Add("Content-Encoding", "snappy");
    request.headers.Add("Content-Type", "application/x-protobuf");
    request.headers.Add("X-Prometheus-Remote-Write-Version", "0.1.0");
    VEDETTE_RETURN_IF_ERROR(compress::Compress(compress::Encoding::kSnappy,
                                               remote::EncodeRequestV1(pieces_), request.body));
    VEDETTE_ASSIGN_OR_RETURN(const http::ClientResponse answer, client_.Do(request));
    if (answer.status / 100 == 2) {
      sent_ += pieces_.size();
    } else if (answer.status == 400) {
      // What could be stored has been; the answer names the first that could not.
      partly_ += pieces_.size();
      if (refusal_.empty()) refusal_ = std::string(Trim(answer.body));
    } else if (answer.status == 404) {
      return FailedPrecondition(
          StrCat(url_, " is not there: start the server with --web.enable-remote-write-receiver"));
    } else {
      return Unavailable(StrCat(url_, " answered ", answer.status, ": ", Trim(answer.body)));
    }
    pieces_.clear();
    return {};
  }

  Status Report(std::ostream& out) const {
    out << "sent " << sent_ + partly_ << " samples";
    if (oldest_ <= newest_) out << ", " << FormatTime(oldest_) << " to " << FormatTime(newest_);
    out << "\n";
    if (partly_ == 0) return {};
    return FailedPrecondition(StrCat(
        "of ", partly_, " samples some were refused; the first: ", refusal_,
        ". Old samples are taken as far back as storage.tsdb.out_of_order_time_window says"));
  }

 private:
  static http::ClientOptions Options(const ImportTarget& t) {
    http::ClientOptions o;
    o.timeout_ms = kTimeoutMs;
    o.username = t.username;
    o.password_file = t.password_file;
    o.tls.ca_file = t.ca_file;
    return o;
  }

  http::Client client_;
  std::string url_;
  std::vector<remote::Piece> pieces_;
  uint64_t sent_ = 0;
  uint64_t partly_ = 0;  // In requests that were not taken whole.
  std::string refusal_;
  int64_t oldest_ = INT64_MAX;
  int64_t newest_ = INT64_MIN;
};

Result<std::string> ReadText(const std::string& path) {
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& in = path == "-" ? std::cin : file;
  if (path != "-" && !file.is_open()) return NotFound(StrCat("cannot read ", path));
  std::string text;
  std::vector<char> part(1 << 20);
  while (in.read(part.data(), static_cast<std::streamsize>(part.size())) || in.gcount() > 0) {
    text.append(part.data(), static_cast<size_t>(in.gcount()));
    if (text.size() > kMaxTextBytes) {
      return ResourceExhausted(StrCat(path, " is over the limit of ", kMaxTextBytes, " bytes"));
    }
  }
  return text;
}

void Notices(const config::ConfigNotices& notices, const std::string& file, std::ostream& out) {
  for (const config::ConfigNotice& n : notices) {
    out << "  differs: " << file << ":" << n.line << ": " << n.field << ": " << n.reason << "\n";
  }
}

Status Blocks(const ImportTarget& target, const std::string& data, std::ostream& out) {
  std::vector<std::string> blocks;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(data, error)) {
    if (std::filesystem::exists(entry.path() / "meta.json", error) &&
        std::filesystem::exists(entry.path() / "index", error)) {
      blocks.push_back(entry.path().string());
    }
  }
  if (error) return NotFound(StrCat(data, ": ", error.message()));
  if (blocks.empty()) {
    return NotFound(StrCat(data,
                           " has no blocks. What is younger than two hours is only in the "
                           "write-ahead log: POST /api/v1/admin/tsdb/snapshot on that "
                           "Prometheus makes a folder with all of it"));
  }
  // Their names begin with the time they were made.
  std::ranges::sort(blocks);
  Feeder feeder(target);
  for (const std::string& block : blocks) {
    BlockStats stats;
    VEDETTE_RETURN_IF_ERROR(ReadPrometheusBlock(
        block,
        [&](const Labels& labels, const std::vector<Sample>& samples) {
          return feeder.Add(labels, samples);
        },
        &stats));
    VEDETTE_RETURN_IF_ERROR(feeder.Flush());
    out << block << ": " << stats.series << " series, " << stats.samples << " samples";
    if (stats.histogram_chunks > 0) {
      out << "; " << stats.histogram_chunks << " chunks of native histograms left out";
    }
    out << "\n";
  }
  return feeder.Report(out);
}

}  // namespace

Status ImportOpenMetrics::Run(std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadText(file));
  Result<std::vector<MetricFamily>> families =
      exposition::ParseText(text, exposition::TextDialect::kOpenMetrics);
  if (!families.ok()) return families.status().Annotate(file);
  Feeder feeder(target);
  uint64_t timeless = 0;
  for (const MetricFamily& family : *families) {
    for (const FamilySample& s : family.samples) {
      if (!s.t_ms) {
        ++timeless;
        continue;
      }
      const Sample sample{*s.t_ms, s.value};
      VEDETTE_RETURN_IF_ERROR(feeder.Add(s.labels, std::span(&sample, 1)));
    }
  }
  VEDETTE_RETURN_IF_ERROR(feeder.Flush());
  if (timeless > 0) out << "left out " << timeless << " samples without a time\n";
  return feeder.Report(out);
}

Status ImportPrometheus::Run(std::ostream& out) const {
  if (config_file.empty() && alertmanager_file.empty() && data.empty()) {
    return InvalidArgument(
        "nothing to import: give --config.file, --alertmanager.config.file or --data");
  }
  if (!config_file.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const config::PrometheusConfig c,
                             config::LoadPrometheusConfig(config_file));
    out << config_file << ": taken as it is: " << c.scrape_configs.size() << " scrape_configs, "
        << c.remote_write.size() << " remote_write, " << c.alerting.alertmanagers.size()
        << " alertmanagers\n";
    Notices(c.notices, config_file, out);
    if (!c.remote_read.empty()) {
      out << "  differs: " << config_file << ": remote_read: not served, queries see local data\n";
    }
    for (const std::string& path : c.rule_files) {
      VEDETTE_ASSIGN_OR_RETURN(const config::RuleFileConfig rules, config::LoadRuleFile(path));
      size_t count = 0;
      for (const config::RuleGroupConfig& g : rules.groups) count += g.rules.size();
      out << path << ": taken as it is: " << rules.groups.size() << " groups, " << count
          << " rules\n";
    }
  }
  if (!alertmanager_file.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const config::AlertmanagerConfig c,
                             config::LoadAlertmanagerConfig(alertmanager_file));
    out << alertmanager_file << ": taken as it is: " << c.receivers.size() << " receivers\n";
    Notices(c.notices, alertmanager_file, out);
  }
  return data.empty() ? Status() : Blocks(target, data, out);
}

}  // namespace vedette::ctl
