#include "agent/mysql/mysql.h"

#include <algorithm>
#include <charconv>
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
  MysqlCollector(MysqlOptions options, std::vector<MysqlScraper> scrapers)
      : options_(std::move(options)), scrapers_(std::move(scrapers)), connection_(options_) {}

  std::string_view name() const override { return options_.name; }

  Status Collect(MetricSink& sink) override {
    struct Outcome {
      std::string name;
      bool success;
      double seconds;
    };
    std::vector<Outcome> outcomes;
    Status first;
    const auto run = [&](std::string_view label, auto&& work) {
      const int64_t began = SystemClock().MonotonicNs();
      Status status = work();
      const int64_t us = (SystemClock().MonotonicNs() - began) / 1000;
      outcomes.push_back({std::string(label), status.ok(), static_cast<double>(us) / 1e6});
      if (!status.ok() && first.ok()) first = status.Annotate(label);
    };
    run("connection", [&] { return connection_.Connect(); });
    const bool up = first.ok();
    sink.Gauge("mysql_up", "Whether the MySQL server could be asked.", up ? 1 : 0);
    if (up) {
      for (const MysqlScraper& scraper : scrapers_) {
        run(StrCat("collect.", scraper.name), [&]() -> Status {
          // A scraper that hung took the connection with it; the next one gets a new one, or fails.
          if (!connection_.connected()) {
            VEDETTE_RETURN_IF_ERROR(connection_.Connect());
          }
          return scraper.scrape(connection_, options_, sink);
        });
      }
    }
    sink.Family("mysql_exporter_collector_success", MetricType::kGauge,
                "Whether a scraper succeeded.");
    for (const Outcome& o : outcomes) sink.Add({{"collector", o.name}}, o.success ? 1 : 0);
    sink.Family("mysql_exporter_collector_duration_seconds", MetricType::kGauge,
                "What a scraper took.");
    for (const Outcome& o : outcomes) sink.Add({{"collector", o.name}}, o.seconds);
    return first;
  }

 private:
  const MysqlOptions options_;
  const std::vector<MysqlScraper> scrapers_;
  MysqlConnection connection_;
};

}  // namespace

Status ParseMysqlAddress(std::string_view text, MysqlOptions& options) {
  const auto bad = [&](std::string_view why) {
    return InvalidArgument(StrCat("--mysql.address=", text, ": ", why));
  };
  const std::vector<std::string_view> parts = Split(text, ';');
  const std::string_view address = Trim(parts[0]);
  if (address.empty()) return bad("expected host, host:port or unix:///path.sock");
  if (address.starts_with("unix://")) {
    options.unix_socket = address.substr(7);
  } else {
    const size_t colon = address.rfind(':');
    const bool bare_v6 = address.find(':') != colon && !address.starts_with('[');
    std::string_view host = address;
    if (colon != std::string_view::npos && !bare_v6 && !address.ends_with(']')) {
      host = address.substr(0, colon);
      if (Status s = ParsePort(address.substr(colon + 1), options.port); !s.ok()) {
        return bad(s.message());
      }
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    options.host = host;
    options.unix_socket.clear();
  }
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
    std::ranges::replace(key, '_', '-');
    if (key == "user") {
      options.user = value;
    } else if (key == "password") {
      options.password = value;
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
    } else if (key == "ssl-skip-verify" || key == "insecure-skip-verify") {
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

Result<std::unique_ptr<Collector>> MakeMysqlCollector(MysqlOptions options) {
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
      std::make_unique<MysqlCollector>(std::move(options), std::move(chosen)));
}

}  // namespace vedette::agent
