#include "agent/mysql/targets.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/base/strings.h"
#include "common/log/log.h"

namespace vedette::agent {
namespace {

// Of what a probe may take, for what is not a query.
constexpr int64_t kRestMs = 250;

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// The sections that "a.b.c" consists of: "a", "a.b", "a.b.c".
std::vector<std::string> SectionsOf(std::string_view name) {
  std::vector<std::string> out;
  for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
    out.emplace_back(name.substr(0, dot));
  }
  out.emplace_back(name);
  return out;
}

// Those of `asked` that are on; all that are on where nothing is asked.
Result<std::vector<std::string>> Choose(const std::vector<std::string>& on,
                                        const std::vector<std::string>& asked) {
  std::vector<std::string> chosen;
  std::vector<std::string> known;
  for (const MysqlScraperName& s : MysqlScrapers()) {
    known.emplace_back(s.name);
    const bool is_on = on.empty() ? s.by_default : Contains(on, s.name);
    if (is_on && (asked.empty() || Contains(asked, s.name))) chosen.emplace_back(s.name);
  }
  for (const std::string& name : asked) {
    if (!Contains(known, name)) {
      return InvalidArgument(StrCat("collect[]: there is no MySQL collector ", Quoted(name)));
    }
  }
  if (chosen.empty()) {
    return InvalidArgument(StrCat("collect[]: ", Quoted(asked.empty() ? "" : asked[0]),
                                  " is switched off; --collect.NAME switches a collector on"));
  }
  return chosen;
}

}  // namespace

struct MysqlTargets::Entry {
  MysqlOptions options;
  std::unique_ptr<Collector> collector;
  // Guarded by the lock of the targets.
  bool busy = false;
  int64_t used_ms = 0;
};

MysqlTargets::MysqlTargets(Options options) : options_(std::move(options)) {}
MysqlTargets::~MysqlTargets() = default;

size_t MysqlTargets::kept() const {
  MutexLock lock(mu_);
  return entries_.size();
}

Result<MysqlOptions> MysqlTargets::OptionsOf(const Request& request) const {
  if (request.target.empty()) return InvalidArgument("target is required");
  MysqlOptions out = options_.base;
  bool found = false;
  for (const std::string& path : options_.config_files) {
    std::ifstream file(path);
    if (!file) return NotFound(StrCat(path, ": cannot be read"));
    const std::string text(std::istreambuf_iterator<char>(file), {});
    MysqlOptions of_file = options_.base;
    bool has_it = false;
    for (const std::string& section : SectionsOf(request.auth_module)) {
      const Status status = ParseMyCnf(text, section, of_file);
      has_it = status.ok();
      if (!status.ok() && status.code() != StatusCode::kNotFound) return status.Annotate(path);
    }
    if (!has_it) continue;
    out = std::move(of_file);
    found = true;
    break;
  }
  if (!found) {
    return InvalidArgument(StrCat("Could not find config section [", request.auth_module, "]"));
  }
  if (out.user.empty()) {
    return InvalidArgument(
        StrCat("config section [", request.auth_module, "] names no user, nor does its parent"));
  }
  if (Status s = ParseMysqlTarget(request.target, out); !s.ok()) {
    return s.Annotate(StrCat("target ", Quoted(request.target)));
  }
  VEDETTE_ASSIGN_OR_RETURN(out.collectors, Choose(options_.base.collectors, request.collectors));
  // As long as whoever asks waits, in steps, so that two of them with nearly the same time share.
  const int64_t whole = std::max<int64_t>(request.timeout_ms - kRestMs, kRestMs);
  out.budget_ms = whole < 1'000 ? whole : whole / 500 * 500;
  // The server closes what nobody uses, too.
  out.idle_close_s = kIdleMs / 1'000;
  return out;
}

Result<MysqlTargets::EntryPtr> MysqlTargets::Find(const MysqlOptions& options) {
  const int64_t now = options_.clock->MonotonicNs() / 1'000'000;
  std::vector<EntryPtr> closed;  // Closed after the lock.
  MutexLock lock(mu_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (!(*it)->busy && now - (*it)->used_ms > kIdleMs) {
      closed.push_back(std::move(*it));
      it = entries_.erase(it);
    } else {
      ++it;
    }
  }
  for (const EntryPtr& entry : entries_) {
    if (entry->options == options) return entry;
  }
  if (entries_.size() >= kMost) {
    const auto oldest = std::ranges::min_element(entries_, {}, [](const EntryPtr& e) {
      return e->busy ? INT64_MAX : e->used_ms;
    });
    if ((*oldest)->busy) {
      return ResourceExhausted(StrCat("more than ", kMost, " servers are asked at this moment"));
    }
    closed.push_back(std::move(*oldest));
    entries_.erase(oldest);
  }
  auto entry = std::make_shared<Entry>();
  entry->options = options;
  entry->used_ms = now;
  VEDETTE_ASSIGN_OR_RETURN(entry->collector, MakeMysqlCollector(options, *options_.clock));
  log::RegisterSecret(options.password);
  entries_.push_back(entry);
  return entry;
}

Result<MysqlTargets::Answer> MysqlTargets::Probe(const Request& request) {
  const auto now_ms = [this] { return options_.clock->MonotonicNs() / 1'000'000; };
  const int64_t until = now_ms() + request.timeout_ms;
  VEDETTE_ASSIGN_OR_RETURN(const MysqlOptions options, OptionsOf(request));
  VEDETTE_ASSIGN_OR_RETURN(const EntryPtr entry, Find(options));
  {
    MutexLock lock(mu_);
    while (entry->busy) {
      const int64_t left = until - now_ms();
      if (left <= 0) {
        return DeadlineExceeded(
            StrCat("another probe of ", request.target, " is still under way"));
      }
      done_.WaitFor(mu_, left);
    }
    entry->busy = true;
  }
  // Given back whatever happens, or nobody asks this server again.
  struct Turn {
    MysqlTargets& targets;
    Entry& entry;
    ~Turn() {
      MutexLock lock(targets.mu_);
      entry.busy = false;
      entry.used_ms = targets.options_.clock->MonotonicNs() / 1'000'000;
      targets.done_.NotifyAll();
    }
  } const turn{*this, *entry};
  MetricSink sink;
  const Status status = entry->collector->Collect(sink);
  if (!status.ok()) {
    log::Warn("a MySQL server could not be asked for all",
              {{"target", request.target}, {"auth_module", request.auth_module}, {"err", status}});
  }
  return Answer{sink.Take(), sink.TakeBlanks()};
}

}  // namespace vedette::agent
