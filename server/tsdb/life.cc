#include "server/tsdb/life.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include "common/base/strings.h"
#include "common/model/matcher.h"
#include "server/storage/queryable.h"

namespace vedette::tsdb {
namespace {

Labels SeriesNamed(const std::string& job, size_t i) {
  return Labels::Of({{"__name__", "m" + std::to_string(i % 5)},
                     {"instance", "host" + std::to_string(i / 5)},
                     {"job", job}});
}

}  // namespace

Life::Life(uint64_t seed) : random_(seed), targets_(2) {
  for (size_t t = 0; t < targets_.size(); ++t) {
    for (size_t i = 0; i < 12; ++i) {
      targets_[t].labels.push_back(SeriesNamed("scrape" + std::to_string(t), i));
    }
  }
}

TsdbOptions Life::Options(const std::string& path) {
  TsdbOptions o;
  o.path = path;
  o.window_ms = kWindow;
  o.retention_ms = kRetention;
  o.out_of_order_window_ms = 3 * kWindow;
  o.idle_ms = kWindow;
  o.rollups_ms = {kRollup};
  o.maintenance_interval_ms = 0;
  o.merge_bytes_per_second = 0;
  o.max_write_buffer_bytes = 32 << 10;
  return o;
}

double Life::Value() {
  switch (random_() % 5) {
    case 0:
      return kStaleNan;
    case 1:
      return static_cast<double>(random_() % 1000) / 10;
    case 2:
      return std::bit_cast<double>(random_() >> 12 | 0x3ff0000000000000);
    default:
      return static_cast<double>(random_() % 50);
  }
}

bool Life::Taken(const Labels& labels, int64_t t_ms) const {
  for (const Model* m : {&acknowledged_, &possible_}) {
    const auto it = m->find(labels);
    if (it != m->end() && it->second.contains(t_ms)) return true;
  }
  return false;
}

void Life::Note(const Model& asked, bool acknowledged) {
  Model& into = acknowledged ? acknowledged_ : possible_;
  for (const auto& [labels, column] : asked) into[labels].insert(column.begin(), column.end());
  failures_ += !acknowledged;
}

void Life::Scrape(Tsdb* db, bool acknowledged, size_t which) {
  Target& target = targets_[which];
  const size_t series = 4 + random_() % (target.labels.size() - 3);
  std::vector<double> values(series);
  Model asked;
  for (size_t p = 0; p < series; ++p) {
    values[p] = random_() % 8 == 0 ? kAbsent : Value();
    if (Taken(target.labels[p], now_)) values[p] = kAbsent;
    if (!IsAbsent(values[p])) asked[target.labels[p]][now_] = std::bit_cast<uint64_t>(values[p]);
  }
  if (db != nullptr) {
    if (!target.writer) {
      target.writer = db->appender().OpenTimeline("scrape");
      target.added = 0;
    }
    acknowledged = true;
    while (target.added < series) {
      if (!target.writer->AddSeries(target.labels[target.added]).ok()) {
        acknowledged = false;
        break;
      }
      ++target.added;
    }
    if (acknowledged) {
      const Result<storage::CommitStats> s =
          target.writer->Commit({.t_ms = now_, .values = values});
      acknowledged = s.ok() && s->refused() == 0;
    }
  }
  Note(asked, acknowledged);
}

void Life::Write(Tsdb* db, bool acknowledged) {
  std::vector<storage::SeriesBatch> batch(1 + random_() % 6);
  std::vector<std::vector<Sample>> samples(batch.size());
  constexpr size_t kWritesOfASeries = 20;
  const size_t first = random_() % 12 + (churn_ ? ++writes_ / kWritesOfASeries * 20 : 0);
  const bool late = random_() % 4 == 0;
  const int64_t base = late ? now_ - static_cast<int64_t>(random_() % (2 * kWindow)) : now_;
  Model asked;
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].labels = SeriesNamed("write", first + i);
    const size_t count = 1 + random_() % 3;
    for (size_t k = 0; k < count; ++k) {
      const int64_t t = base + static_cast<int64_t>(k) * 100;
      const double v = Value();
      if (Taken(batch[i].labels, t)) continue;
      samples[i].push_back({t, v});
      asked[batch[i].labels][t] = std::bit_cast<uint64_t>(v);
    }
    batch[i].samples = samples[i];
  }
  if (db != nullptr) {
    const Result<storage::CommitStats> s = db->appender().Write(batch);
    acknowledged = s.ok() && s->refused() == 0;
  }
  Note(asked, acknowledged);
}

void Life::Delete(Tsdb* db, bool acknowledged) {
  const std::string name = "m" + std::to_string(random_() % 5);
  const std::string job = random_() % 2 == 0 ? "write" : "scrape0";
  const int64_t from = now_ - static_cast<int64_t>(random_() % (6 * kWindow));
  const int64_t to = from + static_cast<int64_t>(random_() % (2 * kWindow));
  if (db != nullptr) {
    const std::vector<std::vector<Matcher>> selectors = {
        {Matcher::Equal("__name__", name), Matcher::Equal("job", job)}};
    acknowledged = db->Delete(selectors, from, to).ok();
    failures_ += !acknowledged;
  }
  for (auto& [labels, column] : acknowledged_) {
    if (labels.Get("__name__") != name || labels.Get("job") != job) continue;
    for (auto it = column.lower_bound(from); it != column.end() && it->first <= to;) {
      (acknowledged ? deleted_ : possible_)[labels].insert(*it);
      // Once asked to go, it may be gone; if that was acknowledged, it must be.
      it = column.erase(it);
    }
    if (!acknowledged) continue;
    const auto maybe = possible_.find(labels);
    if (maybe == possible_.end()) continue;
    std::erase_if(maybe->second, [&](const auto& e) { return e.first >= from && e.first <= to; });
  }
}

void Life::Step(Tsdb* db, bool acknowledged) {
  now_ += static_cast<int64_t>(random_() % 240'000);
  clock_.Set(now_);
  const uint64_t action = random_() % 100;
  if (action < 50) {
    Scrape(db, acknowledged, random_() % targets_.size());
  } else if (action < 85) {
    Write(db, acknowledged);
  } else if (action < 87) {
    Delete(db, acknowledged);
  } else if (action < 95) {
    if (db != nullptr) failures_ += !db->Maintain().ok();
  } else if (action < 97) {
    if (db != nullptr) failures_ += !db->Compact().ok();
  } else {
    for (Target& t : targets_) t.writer.reset();
  }
}

void Life::Detach() {
  for (Target& t : targets_) t.writer.reset();
}

void Life::Know(const Labels& labels, const Sample& sample) {
  acknowledged_[labels][sample.t_ms] = std::bit_cast<uint64_t>(sample.value);
}

uint64_t Life::acknowledged_samples() const {
  uint64_t n = 0;
  for (const auto& [labels, column] : acknowledged_) n += column.size();
  return n;
}

// Roll-ups come to what the samples do.
std::string Life::JudgeRollups(storage::Querier& querier, const Model& got, int64_t now_ms) {
  const int64_t start = kStart / kRollup * kRollup - 2 * kWindow;
  const int64_t end = (now_ms / kRollup + 3) * kRollup;
  auto set = querier.Select({.start_ms = start + 1,
                             .end_ms = end,
                             .step_ms = kRollup,
                             .range_ms = kRollup,
                             .sorted = true,
                             .takes_rolled = true},
                            {});
  while (set->Next()) {
    const storage::SeriesColumns& c = set->at();
    if (c.rolled.empty()) continue;  // Its samples have been judged.
    const Column& samples = got.at(c.labels);
    uint64_t rolled = 0;
    for (const storage::RolledUp& r : c.rolled) {
      rolled += r.count;
      const auto last = samples.find(r.last_ms);
      if (last == samples.end() || last->second != std::bit_cast<uint64_t>(r.last)) {
        return StrCat("a roll-up of ", c.labels.ToString(), " ends with no sample at ",
                      r.last_ms - kStart);
      }
    }
    uint64_t count = 0;
    for (const auto& [t, bits] : samples) {
      count += t > start && t <= end && !IsStale(std::bit_cast<double>(bits));
    }
    if (rolled != count) {
      return StrCat("roll-ups of ", c.labels.ToString(), " have ", rolled, " samples of ", count);
    }
  }
  return set->status().ok() ? "" : set->status().ToString();
}

std::string Life::Judge(const Tsdb& db, Loss loss, bool may_fail) {
  Model got;
  auto querier = db.queryable().Open(INT64_MIN, INT64_MAX);
  if (!querier.ok()) return may_fail ? "" : querier.status().ToString();
  auto set = (*querier)->Select({.start_ms = INT64_MIN, .end_ms = INT64_MAX, .sorted = true}, {});
  while (set->Next()) {
    const storage::SeriesColumns& c = set->at();
    if (got.contains(c.labels)) return StrCat("twice: ", c.labels.ToString());
    Column& column = got[c.labels];
    for (size_t i = 0; i < c.t_ms.size(); ++i) {
      if (!column.emplace(c.t_ms[i], std::bit_cast<uint64_t>(c.values[i])).second) {
        return StrCat("an instant twice in ", c.labels.ToString());
      }
    }
  }
  if (!set->status().ok()) return may_fail ? "" : set->status().ToString();
  for (const auto& [labels, column] : got) {
    for (const auto& [t, bits] : column) {
      bool known = false;
      for (const Model* m : {&acknowledged_, &possible_, &safe_, &deleted_}) {
        if (m == &deleted_ && loss == Loss::kNone) continue;
        const auto series = m->find(labels);
        if (series == m->end()) continue;
        const auto sample = series->second.find(t);
        known = known || (sample != series->second.end() && sample->second == bits);
      }
      if (!known) return StrCat("invented: ", labels.ToString(), " at ", t - kStart);
    }
  }
  if (loss == Loss::kNone && !may_fail) {
    // Damage that a roll-up did not suffer is no fault of it.
    std::string wrong = JudgeRollups(**querier, got, now_);
    if (!wrong.empty()) return wrong;
  }
  missing_ = 0;
  std::string first;
  for (const auto& [labels, column] : only_safe_ ? safe_ : acknowledged_) {
    auto rule = keep_ms_.find(std::string(labels.Get("__name__")));
    if (rule == keep_ms_.end()) rule = keep_ms_.find("");
    const int64_t kept_from = now_ - (rule == keep_ms_.end() ? kRetention : rule->second);
    for (const auto& [t, bits] : column) {
      if (t < kept_from) continue;
      const auto series = got.find(labels);
      if (series != got.end() && series->second.contains(t)) continue;
      // Deleted since it was safe.
      if (only_safe_ && !acknowledged_[labels].contains(t)) continue;
      if (missing_++ < 10) {
        StrAppend(first, first.empty() ? "lost by " : "; ", first.empty() ? StrCat(now_ - kStart) : "",
                  labels.ToString(), " at ", t - kStart);
      }
    }
  }
  if (missing_ == 0 || loss == Loss::kAny) return "";
  const bool said = db.stats().damaged_chunks > 0 || !set->warnings().empty();
  if (loss == Loss::kSaid && said) return "";
  return StrCat(first, "; ", missing_, " in all, ", db.stats().lost_series, " series lost of ", db.stats().series, said ? "; said" : "; nothing was said");
}

}  // namespace vedette::tsdb
