#include "server/alerting/record.h"

#include <bit>

#include "common/config/alertmanager.h"

namespace vedette::alerting {
namespace {

constexpr char kVersion = 1;
// Silences with what was added to them, log entries with a receipt.
constexpr char kVersion2 = 2;

class Writer {
 public:
  explicit Writer(char version = kVersion) { out_.push_back(version); }
  Writer& U64(uint64_t v) {
    for (int i = 0; i < 8; ++i) out_.push_back(static_cast<char>(v >> (8 * i)));
    return *this;
  }
  Writer& I64(int64_t v) { return U64(static_cast<uint64_t>(v)); }
  Writer& F64(double v) { return U64(std::bit_cast<uint64_t>(v)); }
  Writer& U32(uint32_t v) {
    for (int i = 0; i < 4; ++i) out_.push_back(static_cast<char>(v >> (8 * i)));
    return *this;
  }
  Writer& Text(std::string_view s) {
    U32(static_cast<uint32_t>(s.size()));
    out_.append(s);
    return *this;
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {
    if (in_.empty() || in_[0] < kVersion || in_[0] > kVersion2) {
      good_ = false;
    } else {
      version_ = in_[0];
      in_.remove_prefix(1);
    }
  }
  uint64_t Fixed(size_t bytes) {
    if (in_.size() < bytes) {
      good_ = false;
      return 0;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; ++i) {
      v |= static_cast<uint64_t>(static_cast<unsigned char>(in_[i])) << (8 * i);
    }
    in_.remove_prefix(bytes);
    return v;
  }
  int64_t I64() { return static_cast<int64_t>(Fixed(8)); }
  double F64() { return std::bit_cast<double>(Fixed(8)); }
  uint32_t U32() { return static_cast<uint32_t>(Fixed(4)); }
  std::string_view Text() {
    const size_t n = U32();
    if (n > in_.size()) {
      good_ = false;
      return {};
    }
    std::string_view s = in_.substr(0, n);
    in_.remove_prefix(n);
    return s;
  }
  Labels LabelSet() {
    Result<Labels> labels = Labels::FromBytes(Text());
    if (labels.ok()) return *std::move(labels);
    good_ = false;
    return Labels();
  }
  // A count of things that take at least `each` bytes.
  size_t Count(size_t each) {
    const size_t n = U32();
    if (n > in_.size() / each) good_ = false;
    return good_ ? n : 0;
  }
  char version() const { return version_; }
  Status status(std::string_view what) const {
    if (good_ && in_.empty()) return Status();
    return DataLoss(std::string(what) + ": the stored bytes are damaged");
  }

 private:
  std::string_view in_;
  char version_ = kVersion;
  bool good_ = true;
};

}  // namespace

std::string Encode(const StoredAlert& v) {
  Writer out(kVersion2);
  out.Text(v.alert.labels.bytes())
      .Text(v.alert.annotations.bytes())
      .I64(v.alert.starts_at_ms)
      .I64(v.alert.ends_at_ms)
      .Text(v.alert.generator_url)
      .I64(v.updated_at_ms)
      .U32(v.timeout)
      .U32(v.alert.evidence.has_value());
  if (v.alert.evidence) {
    const AlertEvidence& e = *v.alert.evidence;
    out.F64(e.at_fire).F64(e.worst).I64(e.worst_at_ms).U32(e.at_resolve.has_value());
    out.F64(e.at_resolve.value_or(0)).Text(e.graph_url);
  }
  return out.Take();
}

Result<StoredAlert> DecodeAlert(std::string_view bytes) {
  Reader in(bytes);
  StoredAlert v;
  v.alert.labels = in.LabelSet();
  v.alert.annotations = in.LabelSet();
  v.alert.starts_at_ms = in.I64();
  v.alert.ends_at_ms = in.I64();
  v.alert.generator_url = in.Text();
  v.updated_at_ms = in.I64();
  v.timeout = in.U32() != 0;
  if (in.version() >= kVersion2 && in.U32() != 0) {
    AlertEvidence& e = v.alert.evidence.emplace();
    e.at_fire = in.F64();
    e.worst = in.F64();
    e.worst_at_ms = in.I64();
    const bool resolved = in.U32() != 0;
    const double at_resolve = in.F64();
    if (resolved) e.at_resolve = at_resolve;
    e.graph_url = in.Text();
  }
  VEDETTE_RETURN_IF_ERROR(in.status("alert"));
  return v;
}

std::string Encode(const Silence& v) {
  Writer out(kVersion2);
  out.Text(v.id).U32(static_cast<uint32_t>(v.matchers.size()));
  for (const Matcher& m : v.matchers) {
    out.U32(static_cast<uint32_t>(m.op())).Text(m.name()).Text(m.value());
  }
  return out.I64(v.starts_at_ms)
      .I64(v.ends_at_ms)
      .I64(v.updated_at_ms)
      .Text(v.created_by)
      .Text(v.comment)
      .Text(v.annotations.bytes())
      .Text(v.recurrence ? config::FormatTimeInterval(*v.recurrence) : "")
      .I64(v.remind_before_ms)
      .Take();
}

Result<Silence> DecodeSilence(std::string_view bytes) {
  Reader in(bytes);
  Silence v;
  v.id = in.Text();
  const size_t n = in.Count(12);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t op = in.U32();
    const std::string_view name = in.Text();
    const std::string_view value = in.Text();
    if (op > static_cast<uint32_t>(Matcher::Op::kNotRegex)) {
      return DataLoss("silence: unknown matcher");
    }
    VEDETTE_ASSIGN_OR_RETURN(Matcher m, Matcher::Make(static_cast<Matcher::Op>(op), name, value));
    v.matchers.push_back(std::move(m));
  }
  v.starts_at_ms = in.I64();
  v.ends_at_ms = in.I64();
  v.updated_at_ms = in.I64();
  v.created_by = in.Text();
  v.comment = in.Text();
  if (in.version() >= kVersion2) {
    v.annotations = in.LabelSet();
    const std::string_view recurrence = in.Text();
    v.remind_before_ms = in.I64();
    VEDETTE_RETURN_IF_ERROR(in.status("silence"));
    if (!recurrence.empty()) {
      VEDETTE_ASSIGN_OR_RETURN(v.recurrence, config::ParseTimeInterval(recurrence));
    }
  }
  VEDETTE_RETURN_IF_ERROR(in.status("silence"));
  return v;
}

std::string Encode(const NotificationLogEntry& v) {
  Writer out(kVersion2);
  out.I64(v.t_ms).U32(static_cast<uint32_t>(v.firing.size()));
  for (uint64_t f : v.firing) out.U64(f);
  out.U32(static_cast<uint32_t>(v.resolved.size()));
  for (uint64_t f : v.resolved) out.U64(f);
  return out.Text(v.receipt).Take();
}

Result<NotificationLogEntry> DecodeLogEntry(std::string_view bytes) {
  Reader in(bytes);
  NotificationLogEntry v;
  v.t_ms = in.I64();
  for (size_t i = 0, n = in.Count(8); i < n; ++i) v.firing.push_back(in.Fixed(8));
  for (size_t i = 0, n = in.Count(8); i < n; ++i) v.resolved.push_back(in.Fixed(8));
  if (in.version() >= kVersion2) v.receipt = in.Text();
  VEDETTE_RETURN_IF_ERROR(in.status("notification log"));
  return v;
}

std::string Encode(const NotificationEvent& v) {
  return Writer()
      .I64(v.t_ms)
      .Text(v.receiver)
      .Text(v.integration)
      .Text(v.group_key)
      .Text(v.outcome)
      .Text(v.error)
      .U32(v.firing)
      .U32(v.resolved)
      .U32(v.attempts)
      .Take();
}

Result<NotificationEvent> DecodeEvent(std::string_view bytes) {
  Reader in(bytes);
  NotificationEvent v;
  v.t_ms = in.I64();
  v.receiver = in.Text();
  v.integration = in.Text();
  v.group_key = in.Text();
  v.outcome = in.Text();
  v.error = in.Text();
  v.firing = in.U32();
  v.resolved = in.U32();
  v.attempts = in.U32();
  VEDETTE_RETURN_IF_ERROR(in.status("notification event"));
  return v;
}

std::string Encode(const AlertEvent& v) {
  return Writer()
      .I64(v.t_ms)
      .U32(v.resolved)
      .Text(v.alert.labels.bytes())
      .Text(v.alert.annotations.bytes())
      .I64(v.alert.starts_at_ms)
      .I64(v.alert.ends_at_ms)
      .Text(v.alert.generator_url)
      .Take();
}

Result<AlertEvent> DecodeAlertEvent(std::string_view bytes) {
  Reader in(bytes);
  AlertEvent v;
  v.t_ms = in.I64();
  v.resolved = in.U32() != 0;
  v.alert.labels = in.LabelSet();
  v.alert.annotations = in.LabelSet();
  v.alert.starts_at_ms = in.I64();
  v.alert.ends_at_ms = in.I64();
  v.alert.generator_url = in.Text();
  VEDETTE_RETURN_IF_ERROR(in.status("alert event"));
  return v;
}

}  // namespace vedette::alerting
