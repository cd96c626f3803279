#include "server/tsdb/query/pieces.h"

#include <algorithm>

#include "common/model/sample.h"

namespace vedette::tsdb {
namespace {

// Holes and stale markers are NaN: where there is none, nobody looks closer. Without branches.
bool HasNan(std::span<const double> values) {
  int nans = 0;
  for (double v : values) nans += v != v ? 1 : 0;
  return nans != 0;
}

}  // namespace

void Pieces::Clear() {
  pieces_.clear();
  used_ = 0;
  room_at_ = 0;
  maybe_stale_ = false;
  histograms_.clear();
  out_histograms_.clear();
  columns_ = {};
}

std::span<double> Pieces::Room(size_t count) {
  if (values_.size() < used_ + count) values_.resize(std::max(used_ + count, values_.size() * 2));
  room_at_ = used_;
  return std::span(values_).subspan(room_at_, count);
}

void Pieces::Add(std::span<const int64_t> t_ms, uint64_t identity, bool may_be_stale, size_t skip) {
  pieces_.push_back({t_ms, room_at_ + skip, identity});
  used_ = room_at_ + skip + t_ms.size();
  maybe_stale_ = maybe_stale_ || may_be_stale;
}

void Pieces::MoveToFront(size_t n) {
  std::rotate(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(n), pieces_.end());
}

Pieces::Part Pieces::InRange(const Piece& p, int64_t min_t_ms, int64_t max_t_ms) {
  // Of a chunk all, as it was cut to it.
  if (p.t_ms.front() >= min_t_ms && p.t_ms.back() <= max_t_ms) return {0, p.t_ms.size()};
  const auto first = std::ranges::lower_bound(p.t_ms, min_t_ms);
  const auto last = std::ranges::upper_bound(first, p.t_ms.end(), max_t_ms);
  return {static_cast<size_t>(first - p.t_ms.begin()), static_cast<size_t>(last - p.t_ms.begin())};
}

bool Pieces::Join(int64_t min_t_ms, int64_t max_t_ms) {
  if (pieces_.empty() && histograms_.empty()) return false;
  bool in_order = histograms_.empty();
  for (size_t i = 1; in_order && i < pieces_.size(); ++i) {
    in_order = pieces_[i - 1].t_ms.back() < pieces_[i].t_ms.front();
  }
  if (in_order) {
    JoinInOrder(min_t_ms, max_t_ms);
  } else {
    Merge(min_t_ms, max_t_ms);
  }
  if (columns_.values.empty()) return false;
  columns_.has_stale = maybe_stale_ && std::ranges::any_of(columns_.values, IsStale);
  return true;
}

void Pieces::JoinInOrder(int64_t min_t_ms, int64_t max_t_ms) {
  uint64_t key = 0x51ed;
  size_t wanted = 0;
  for (const Piece& p : pieces_) {
    key = MixIdentity(key, p.identity);
    const Part part = InRange(p, min_t_ms, max_t_ms);
    wanted += part.last - part.first;
  }
  if (pieces_.size() == 1) {
    // Nothing to put together: most series of a range that is sealed and merged.
    const Piece& p = pieces_[0];
    const Part part = InRange(p, min_t_ms, max_t_ms);
    columns_.t_ms = p.t_ms.subspan(part.first, wanted);
    columns_.values = std::span(values_).subspan(p.values_at + part.first, wanted);
    columns_.timeline_key = key;
    if (HasNan(columns_.values) && std::ranges::any_of(columns_.values, IsAbsent)) LeaveOutHoles();
    return;
  }
  out_values_.clear();
  for (const Piece& p : pieces_) {
    const Part part = InRange(p, min_t_ms, max_t_ms);
    const double* v = values_.data() + p.values_at;
    out_values_.insert(out_values_.end(), v + part.first, v + part.last);
  }
  columns_.values = out_values_;
  columns_.timeline_key = key;
  if (key != out_key_ || out_t_.size() != wanted) {
    out_t_.clear();
    out_t_.reserve(wanted);
    for (const Piece& p : pieces_) {
      const Part part = InRange(p, min_t_ms, max_t_ms);
      out_t_.insert(out_t_.end(), p.t_ms.begin() + static_cast<ptrdiff_t>(part.first),
                    p.t_ms.begin() + static_cast<ptrdiff_t>(part.last));
    }
    out_key_ = key;
  }
  columns_.t_ms = out_t_;
  if (HasNan(out_values_) && std::ranges::any_of(out_values_, IsAbsent)) LeaveOutHoles();
}

// Of columns_, which may lie in out_t_ and out_values_ already.
void Pieces::LeaveOutHoles() {
  const std::span<const int64_t> t = columns_.t_ms;
  const std::span<const double> v = columns_.values;
  out_key_ = 0;
  columns_.timeline_key = 0;
  if (t.data() != out_t_.data()) out_t_.resize(t.size());
  if (v.data() != out_values_.data()) out_values_.resize(v.size());
  size_t n = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    if (IsAbsent(v[i])) continue;
    out_values_[n] = v[i];
    out_t_[n++] = t[i];
  }
  out_values_.resize(n);
  out_t_.resize(n);
  columns_.t_ms = out_t_;
  columns_.values = out_values_;
}

void Pieces::Merge(int64_t min_t_ms, int64_t max_t_ms) {
  struct Entry {
    int64_t t_ms;
    double value;
    const std::shared_ptr<const Histogram>* histogram;
  };
  std::vector<Entry> entries;
  for (const Piece& p : pieces_) {
    for (size_t i = 0; i < p.t_ms.size(); ++i) {
      const double v = values_[p.values_at + i];
      if (p.t_ms[i] < min_t_ms || p.t_ms[i] > max_t_ms || IsAbsent(v)) continue;
      entries.push_back({p.t_ms[i], v, nullptr});
    }
  }
  for (const auto& [t_ms, h] : histograms_) entries.push_back({t_ms, 0, &h});
  std::ranges::stable_sort(entries, {}, &Entry::t_ms);
  out_t_.clear();
  out_values_.clear();
  out_key_ = 0;
  for (const Entry& e : entries) {
    if (!out_t_.empty() && out_t_.back() == e.t_ms) continue;
    out_t_.push_back(e.t_ms);
    out_values_.push_back(e.value);
    if (!histograms_.empty()) {
      out_histograms_.push_back(e.histogram == nullptr ? nullptr : *e.histogram);
    }
  }
  columns_.t_ms = out_t_;
  columns_.values = out_values_;
  columns_.histograms = out_histograms_;
}

}  // namespace vedette::tsdb
