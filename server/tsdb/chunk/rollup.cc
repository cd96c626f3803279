#include "server/tsdb/chunk/rollup.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/base/compensated_add.h"
#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/chunk/column.h"
#include "server/tsdb/chunk/integers.h"

namespace vedette::tsdb {
namespace {

using storage::RolledUp;

constexpr uint8_t kMinIsFirst = 1;
constexpr uint8_t kMaxIsLast = 2;
constexpr uint8_t kNothingLost = 4;
constexpr uint8_t kAllFlags = 7;
constexpr size_t kChecksumBytes = 4;
// A stretch has one sample at least, and a window no more of them than milliseconds; what is longer
// is not believed.
constexpr uint64_t kMaxStretches = kMaxChunkValues;

bool SameBits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

// The multiple of `step` that is not before t.
int64_t EndOf(int64_t t_ms, int64_t step) {
  const int64_t rest = t_ms % step;
  return rest == 0 ? t_ms : t_ms - rest + (rest > 0 ? step : 0);
}

// A sum as the engine takes one.
struct Sum {
  double sum = 0;
  double lost = 0;
  void Add(double v) { CompensatedAdd(v, sum, lost); }
  double value() const { return std::isinf(sum) ? sum : sum + lost; }
};

template <typename Field>
void PutColumn(std::span<const RolledUp> stretches, Field field, std::string& out) {
  std::vector<double> column;
  column.reserve(stretches.size());
  for (const RolledUp& r : stretches) column.push_back(r.*field);
  EncodeColumn(column, out);
}

template <typename Field>
bool TakeColumn(ByteReader& in, Field field, std::vector<RolledUp>& stretches) {
  std::vector<double> column(stretches.size());
  if (!DecodeColumn(in, column)) return false;
  for (size_t i = 0; i < column.size(); ++i) {
    if (IsAbsent(column[i])) return false;
    stretches[i].*field = column[i];
  }
  return true;
}

}  // namespace

bool RollUp(std::span<const int64_t> t_ms, std::span<const double> values, int64_t resolution_ms,
            std::vector<RolledUp>& out) {
  out.clear();
  Sum sum;
  bool infinite = false;  // A value of the stretch is: then its sum may be.
  int64_t end = 0;
  const auto finish = [&] {
    if (out.empty()) return true;
    out.back().sum = sum.value();
    return infinite || !std::isinf(sum.sum);
  };
  for (size_t i = 0; i < t_ms.size(); ++i) {
    const double v = values[i];
    if (IsAbsent(v) || IsStale(v)) continue;
    if (out.empty() || t_ms[i] > end) {
      if (!finish()) return false;
      out.push_back({.count = 0, .first_ms = t_ms[i], .first = v, .last = v, .min = v, .max = v});
      end = EndOf(t_ms[i], resolution_ms);
      sum = {};
      infinite = false;
    }
    RolledUp& r = out.back();
    if (r.count > 0 && v < r.last) r.lost += r.last;
    if (v < r.min || std::isnan(r.min)) r.min = v;
    if (v > r.max || std::isnan(r.max)) r.max = v;
    ++r.count;
    r.last_ms = t_ms[i];
    r.last = v;
    sum.Add(v);
    infinite = infinite || std::isinf(v);
  }
  return finish();
}

std::string EncodeRollup(std::span<const RolledUp> stretches) {
  const auto all = [&](auto holds) { return std::ranges::all_of(stretches, holds); };
  uint8_t flags = 0;
  if (all([](const RolledUp& r) { return SameBits(r.min, r.first); })) flags |= kMinIsFirst;
  if (all([](const RolledUp& r) { return SameBits(r.max, r.last); })) flags |= kMaxIsLast;
  if (all([](const RolledUp& r) { return SameBits(r.lost, 0); })) flags |= kNothingLost;
  std::string out;
  out.push_back(static_cast<char>(flags));
  PutVarint(out, stretches.size());
  PutSigned(out, stretches[0].first_ms);
  std::vector<int64_t> integers;
  for (size_t i = 1; i < stretches.size(); ++i) {
    integers.push_back(stretches[i].first_ms - stretches[i - 1].last_ms);
  }
  EncodeIntegers(integers, out);
  integers.clear();
  for (const RolledUp& r : stretches) integers.push_back(r.last_ms - r.first_ms);
  EncodeIntegers(integers, out);
  integers.clear();
  for (const RolledUp& r : stretches) integers.push_back(static_cast<int64_t>(r.count));
  EncodeIntegers(integers, out);
  PutColumn(stretches, &RolledUp::first, out);
  PutColumn(stretches, &RolledUp::last, out);
  PutColumn(stretches, &RolledUp::sum, out);
  if ((flags & kMinIsFirst) == 0) PutColumn(stretches, &RolledUp::min, out);
  if ((flags & kMaxIsLast) == 0) PutColumn(stretches, &RolledUp::max, out);
  if ((flags & kNothingLost) == 0) PutColumn(stretches, &RolledUp::lost, out);
  PutFixed(out, Checksum(out));
  return out;
}

Status DecodeRollup(std::string_view bytes, std::vector<RolledUp>& stretches) {
  stretches.clear();
  if (bytes.size() < kChecksumBytes) return DataLoss("roll-up is too short");
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  ByteReader tail(bytes.substr(body.size()));
  if (tail.Fixed<uint32_t>() != Checksum(body)) return DataLoss("roll-up: checksum differs");
  ByteReader in(body);
  const uint8_t flags = in.Fixed<uint8_t>();
  const uint64_t count = in.Varint();
  const int64_t first_ms = in.Signed();
  if (!in.ok() || (flags & ~kAllFlags) != 0 || count == 0 || count > kMaxStretches) {
    return DataLoss("roll-up: head is damaged");
  }
  std::vector<int64_t> gaps(count - 1);
  std::vector<int64_t> spans(count);
  std::vector<int64_t> counts(count);
  if (!DecodeIntegers(in, gaps) || !DecodeIntegers(in, spans) || !DecodeIntegers(in, counts)) {
    return DataLoss("roll-up: instants are damaged");
  }
  constexpr int64_t kFar = int64_t{1} << 53;  // Sums of these do not overflow.
  int64_t at = first_ms;
  stretches.resize(count);
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) {
      if (gaps[i - 1] <= 0 || gaps[i - 1] > kFar) return DataLoss("roll-up: not ascending");
      at += gaps[i - 1];
    }
    if (at < -kFar || at > kFar || spans[i] < 0 || spans[i] > kFar || counts[i] <= 0 ||
        (counts[i] == 1) != (spans[i] == 0)) {
      return DataLoss("roll-up: a stretch is damaged");
    }
    stretches[i].first_ms = at;
    at += spans[i];
    stretches[i].last_ms = at;
    stretches[i].count = static_cast<uint64_t>(counts[i]);
  }
  bool good = TakeColumn(in, &RolledUp::first, stretches) &&
              TakeColumn(in, &RolledUp::last, stretches) &&
              TakeColumn(in, &RolledUp::sum, stretches);
  if ((flags & kMinIsFirst) == 0) good = good && TakeColumn(in, &RolledUp::min, stretches);
  if ((flags & kMaxIsLast) == 0) good = good && TakeColumn(in, &RolledUp::max, stretches);
  if ((flags & kNothingLost) == 0) good = good && TakeColumn(in, &RolledUp::lost, stretches);
  if (!good || !in.done()) return DataLoss("roll-up: columns are damaged");
  for (RolledUp& r : stretches) {
    if (flags & kMinIsFirst) r.min = r.first;
    if (flags & kMaxIsLast) r.max = r.last;
  }
  return {};
}

}  // namespace vedette::tsdb
