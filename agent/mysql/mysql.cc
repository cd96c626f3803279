#include "agent/mysql/mysql.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "agent/mysql/connection.h"
#include "agent/mysql/scrapers.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/model/metric_family.h"

namespace vedette::agent {
namespace {

Status ParsePort(std::string_view text, int& port) {
  int v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || v < 1 || v > 65535) {
    return InvalidArgument(StrCat(Quoted(text), " is no port"));
  }
  port = v;
  return {};
}

class MysqlCollector final : public Collector {
 public:
  MysqlCollector(MysqlOptions options, std::vector<MysqlScraper> scrapers, const Clock& clock)
      : options_(std::move(options)),
        scrapers_(std::move(scrapers)),
        clock_(clock),
        connection_(options_),
        last_(scrapers_.size()),
        errors_(scrapers_.size() + 1) {}

  std::string_view name() const override { return options_.name; }
  bool waits() const override { return true; }
  std::string_view reads() const override { return "the server, over one connection that is kept"; }

  Status Collect(MetricSink& sink) override {
    began_ms_ = clock_.MonotonicNs() / 1'000'000;
    outcomes_.clear();
    ++scrapes_;
    // A server that hangs must be found out, and mysql_up 0 said, well within the budget.
    connection_.LimitWait(std::min(options_.connect_timeout_ms, options_.budget_ms / 3));
    Status first = Run("connection", errors_.size() - 1, [&] { return connection_.Connect(); });
    const bool up = first.ok();
    sink.Gauge("mysql_up", "Whether the MySQL server could be asked.", up ? 1 : 0);
    for (size_t i = 0; up && i < scrapers_.size(); ++i) {
      Status status = Scrape(i, sink);
      if (!status.ok() && first.ok()) first = std::move(status);
    }
    AddBookkeeping(!first.ok(), sink);
    return first;
  }

 private:
  struct Outcome {
    std::string name;
    bool success;
    double seconds;
  };
  // A scraper's last good answer.
  struct Last {
    std::vector<MetricFamily> families;
    BlankLabels blanks;
    int64_t at_ms = 0;
    bool known = false;
  };

  template <typename Work>
  Status Run(std::string_view label, size_t index, Work work) {
    const int64_t began = clock_.MonotonicNs();
    Status status = work();
    const int64_t us = (clock_.MonotonicNs() - began) / 1000;
    outcomes_.push_back({std::string(label), status.ok(), static_cast<double>(us) / 1e6});
    if (!status.ok()) ++errors_[index];
    return status.Annotate(label);
  }

  Status Scrape(size_t i, MetricSink& sink) {
    const MysqlScraper& scraper = scrapers_[i];
    MetricSink own;
    const std::string label = StrCat("collect.", scraper.name);
    Status status = Run(label, i, [&]() -> Status {
      const int64_t left = options_.budget_ms - (clock_.MonotonicNs() / 1'000'000 - began_ms_);
      if (left <= 0) {
        return DeadlineExceeded(StrCat("the scrapers before it took the ", options_.budget_ms,
                                       " ms that a collection has"));
      }
      connection_.LimitWait(left);
      // A scraper that hung took the connection with it; the next one gets a new one, or fails.
      if (!connection_.connected()) {
        VEDETTE_RETURN_IF_ERROR(connection_.Connect());
      }
      return scraper.scrape(connection_, options_, own);
    });
    const int64_t now = clock_.MonotonicNs() / 1'000'000;
    Last& last = last_[i];
    if (status.ok()) {
      last = {own.Take(), own.TakeBlanks(), now, true};
    } else if (!last.known || now - last.at_ms > options_.keep_last_ms) {
      last = {};
    }
    // What a scraper found before it failed is not mixed with what it found the time before.
    std::vector<MetricFamily> shown = last.known ? last.families : own.Take();
    for (MetricFamily& family : shown) sink.AddFamily(std::move(family));
    for (const auto& [family, labels] : last.blanks) {
      for (const std::string& label : labels) sink.AddBlank(family, label);
    }
    if (last.known) ages_.emplace_back(label, static_cast<double>(now - last.at_ms) / 1e3);
    return status;
  }

  void AddBookkeeping(bool failed, MetricSink& sink) {
    sink.Family("mysql_exporter_collector_success", MetricType::kGauge,
                "Whether a scraper succeeded.");
    for (const Outcome& o : outcomes_) sink.Add({{"collector", o.name}}, o.success ? 1 : 0);
    sink.Family("mysql_exporter_collector_duration_seconds", MetricType::kGauge,
                "What a scraper took.");
    for (const Outcome& o : outcomes_) sink.Add({{"collector", o.name}}, o.seconds);
    sink.Counter("mysql_exporter_scrapes_total", "How often the server was asked.",
                 static_cast<double>(scrapes_));
    sink.Gauge("mysql_exporter_last_scrape_error", "1 if the last time anything failed.",
               failed ? 1 : 0);
    for (size_t i = 0; i < errors_.size(); ++i) {
      if (errors_[i] == 0) continue;
      sink.Family("mysql_exporter_scrape_errors_total", MetricType::kCounter,
                  "How often a scraper failed.");
      sink.Add({{"collector", i < scrapers_.size() ? StrCat("collect.", scrapers_[i].name)
                                                   : std::string("connection")}},
               static_cast<double>(errors_[i]));
    }
    sink.Family("vedette_mysql_collector_age_seconds", MetricType::kGauge,
                "How old a scraper's answer is: 0, or more while it fails and its last good answer "
                "is shown.");
    for (const auto& [label, seconds] : ages_) sink.Add({{"collector", label}}, seconds);
    ages_.clear();
  }

  const MysqlOptions options_;
  const std::vector<MysqlScraper> scrapers_;
  const Clock& clock_;
  MysqlConnection connection_;
  std::vector<Last> last_;
  std::vector<uint64_t> errors_;  // By scraper; the last is the connection's.
  uint64_t scrapes_ = 0;
  // Of the collection under way.
  int64_t began_ms_ = 0;
  std::vector<Outcome> outcomes_;
  std::vector<std::pair<std::string, double>> ages_;
};

}  // namespace

Status ParseMysqlTarget(std::string_view address, MysqlOptions& options) {
  // A target comes from whoever asks: the options of an address are not for them.
  if (address.empty() || address.find(';') != std::string_view::npos) {
    return InvalidArgument("expected host, host:port or unix:///path.sock");
  }
  if (address.starts_with("unix://")) {
    options.unix_socket = address.substr(7);
    return {};
  }
  const size_t colon = address.rfind(':');
  const bool bare_v6 = address.find(':') != colon && !address.starts_with('[');
  std::string_view host = address;
  if (colon != std::string_view::npos && !bare_v6 && !address.ends_with(']')) {
    host = address.substr(0, colon);
    VEDETTE_RETURN_IF_ERROR(ParsePort(address.substr(colon + 1), options.port));
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  options.host = host;
  options.unix_socket.clear();
  return {};
}

Status ParseMysqlAddress(std::string_view text, MysqlOptions& options) {
  const auto bad = [&](std::string_view why) {
    return InvalidArgument(StrCat("--mysql.address=", text, ": ", why));
  };
  const std::vector<std::string_view> parts = Split(text, ';');
  if (Status s = ParseMysqlTarget(Trim(parts[0]), options); !s.ok()) return bad(s.message());
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string_view part = Trim(parts[i]);
    const size_t at = part.find('=');
    const std::string_view key = part.substr(0, at);
    const std::string_view value = at == std::string_view::npos ? "" : part.substr(at + 1);
    if (key == "tls" && value.empty()) {
      options.tls = true;
    } else if (key == "insecure-skip-verify" && value.empty()) {
      options.tls = options.tls_insecure_skip_verify = true;
    } else if (value.empty()) {
      return bad(StrCat("unknown or empty option ", Quoted(part)));
    } else if (key == "name") {
      options.name = StrCat("mysql/", value);
    } else if (key == "user") {
      options.user = value;
    } else if (key == "password-file") {
      options.password_file = value;
    } else if (key == "ca-file") {
      options.tls = true;
      options.tls_ca = value;
    } else if (key == "cert-file") {
      options.tls_cert = value;
    } else if (key == "key-file") {
      options.tls_key = value;
    } else if (key == "collect") {
      options.collectors.emplace_back(value);
    } else if (key == "timeout") {
      auto ms = ParseDuration(value);
      if (!ms.ok()) return bad(ms.status().message());
      options.query_timeout_ms = *ms;
      options.connect_timeout_ms = *ms;
    } else {
      return bad(StrCat("unknown option ", Quoted(part)));
    }
  }
  return {};
}

Status ParseMyCnf(std::string_view text, std::string_view section, MysqlOptions& options) {
  bool inside = false, found = false;
  int line_number = 0;
  for (std::string_view line : Split(text, '\n')) {
    ++line_number;
    line = Trim(line);
    if (line.empty() || line[0] == '#' || line[0] == ';' || line[0] == '!') continue;
    if (line[0] == '[') {
      inside = line.size() > 2 && line.back() == ']' && line.substr(1, line.size() - 2) == section;
      found = found || inside;
      continue;
    }
    if (!inside) continue;
    const size_t equals = line.find('=');
    std::string key(Trim(line.substr(0, equals)));
    std::string_view value =
        equals == std::string_view::npos ? std::string_view() : Trim(line.substr(equals + 1));
    // Outside quotes a # begins a comment.
    if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'') &&
        value.find(value[0], 1) != std::string_view::npos) {
      value = value.substr(1, value.find(value[0], 1) - 1);
    } else if (const size_t hash = value.find(" #"); hash != std::string_view::npos) {
      value = Trim(value.substr(0, hash));
    }
    if (value.starts_with("${") && value.ends_with('}')) {
      const std::string name(value.substr(2, value.size() - 3));
      const char* from_environment = std::getenv(name.c_str());
      value = from_environment == nullptr ? "" : from_environment;
    }
    std::ranges::replace(key, '_', '-');
    if (key == "user") {
      options.user = value;
    } else if (key == "password") {
      options.password = value;
      options.password_file.clear();
    } else if (key == "host") {
      options.host = value;
    } else if (key == "socket") {
      options.unix_socket = value;
    } else if (key == "port") {
      if (Status s = ParsePort(value, options.port); !s.ok()) {
        return s.Annotate(StrCat("line ", line_number));
      }
    } else if (key == "ssl-ca") {
      options.tls = true;
      options.tls_ca = value;
    } else if (key == "ssl-cert") {
      options.tls_cert = value;
    } else if (key == "ssl-key") {
      options.tls_key = value;
    } else if (key == "ssl-skip-verify" || key == "insecure-skip-verify" ||
               key == "ssl-skip-verfication") {  // So it is written in mysqld_exporter.
      options.tls_insecure_skip_verify = value.empty() || value == "true" || value == "1";
    }
  }
  if (!found) return NotFound(StrCat("no section [", section, "]"));
  return {};
}

std::vector<MysqlScraperName> MysqlScrapers() {
  std::vector<MysqlScraperName> out;
  for (const MysqlScraper& s : AllMysqlScrapers()) out.push_back({s.name, s.by_default});
  return out;
}

Result<std::unique_ptr<Collector>> MakeMysqlCollector(MysqlOptions options,
                                                      const Clock& clock) {
  std::vector<MysqlScraper> chosen;
  for (const std::string& name : options.collectors) {
    if (std::ranges::find(AllMysqlScrapers(), name, &MysqlScraper::name) ==
        AllMysqlScrapers().end()) {
      return InvalidArgument(StrCat("there is no MySQL collector ", Quoted(name)));
    }
  }
  for (const MysqlScraper& s : AllMysqlScrapers()) {
    const bool wanted =
        options.collectors.empty()
            ? s.by_default
            : std::ranges::find(options.collectors, s.name) != options.collectors.end();
    if (wanted) chosen.push_back(s);
  }
  return std::unique_ptr<Collector>(
      std::make_unique<MysqlCollector>(std::move(options), std::move(chosen), clock));
}

}  // namespace vedette::agent
