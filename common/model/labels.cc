#include "common/model/labels.h"

#include <xxhash.h>

#include <algorithm>

#include "common/base/strings.h"

namespace vedette {
namespace {

constexpr uint8_t kLongLength = 255;
constexpr size_t kMaxPiece = (1u << 24) - 1;  // Three bytes of length.

void AppendPiece(std::string& out, std::string_view piece) {
  const size_t n = std::min(piece.size(), kMaxPiece);
  if (n < kLongLength) {
    out.push_back(static_cast<char>(n));
  } else {
    out.push_back(static_cast<char>(kLongLength));
    for (int shift = 0; shift < 24; shift += 8) out.push_back(static_cast<char>(n >> shift));
  }
  out.append(piece.substr(0, n));
}

// Reads the piece at `at`; false where the bytes end too early.
inline bool ReadPiece(std::string_view bytes, size_t& at, std::string_view& piece) {
  if (at >= bytes.size()) return false;
  size_t n = static_cast<uint8_t>(bytes[at++]);
  if (n == kLongLength) {
    if (bytes.size() - at < 3) return false;
    n = static_cast<uint8_t>(bytes[at]) |
        static_cast<size_t>(static_cast<uint8_t>(bytes[at + 1])) << 8 |
        static_cast<size_t>(static_cast<uint8_t>(bytes[at + 2])) << 16;
    at += 3;
  }
  if (bytes.size() - at < n) return false;
  piece = bytes.substr(at, n);
  at += n;
  return true;
}

template <typename Keep>
std::string Filtered(const Labels& labels, Keep keep) {
  std::string out;
  out.reserve(labels.bytes().size());
  for (const Label& l : labels) {
    if (!keep(l.name)) continue;
    AppendPiece(out, l.name);
    AppendPiece(out, l.value);
  }
  return out;
}

bool Contains(std::span<const std::string> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool IsLegacy(std::string_view name, bool colon) {
  if (name.empty()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return true;
}

}  // namespace

void Labels::Iterator::Read() {
  length_ = 0;
  if (rest_.empty()) return;
  size_t at = 0;
  if (ReadPiece(rest_, at, label_.name) && ReadPiece(rest_, at, label_.value)) length_ = at;
}

Labels Labels::Of(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  std::vector<Label> labels;
  labels.reserve(pairs.size());
  for (const auto& [name, value] : pairs) labels.push_back({name, value});
  return Of(std::move(labels));
}

Labels Labels::Of(std::vector<Label> labels) {
  // Mostly they come in order, and a sort that is stable takes memory.
  const auto by_name = [](const Label& a, const Label& b) { return a.name < b.name; };
  if (!std::is_sorted(labels.begin(), labels.end(), by_name)) {
    std::stable_sort(labels.begin(), labels.end(), by_name);
  }
  Labels out;
  size_t bytes = 0;
  for (const Label& l : labels) bytes += l.name.size() + l.value.size() + 2;
  out.bytes_.reserve(bytes);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (i + 1 < labels.size() && labels[i + 1].name == labels[i].name) continue;
    if (labels[i].value.empty()) continue;
    AppendPiece(out.bytes_, labels[i].name);
    AppendPiece(out.bytes_, labels[i].value);
  }
  return out;
}

Result<Labels> Labels::FromBytes(std::string_view bytes) {
  std::string_view last;
  bool first = true;
  for (size_t at = 0; at < bytes.size(); first = false) {
    Label l;
    if (!ReadPiece(bytes, at, l.name) || !ReadPiece(bytes, at, l.value)) {
      return DataLoss("label set ends in the middle of a label");
    }
    if (!first && l.name <= last) return DataLoss("label set is not in order");
    if (l.value.empty()) return DataLoss("label set has an empty value");
    last = l.name;
  }
  Labels out;
  out.bytes_ = bytes;
  return out;
}

size_t Labels::size() const { return static_cast<size_t>(std::distance(begin(), end())); }

std::string_view Labels::Get(std::string_view name) const {
  for (const Label& l : *this) {
    if (l.name == name) return {l.value};
    if (l.name > name) break;
  }
  return {};
}

Labels Labels::Without(std::span<const std::string> names) const {
  Labels out;
  out.bytes_ = Filtered(*this, [&](std::string_view n) { return !Contains(names, n); });
  return out;
}

Labels Labels::Only(std::span<const std::string> names) const {
  Labels out;
  out.bytes_ = Filtered(*this, [&](std::string_view n) { return Contains(names, n); });
  return out;
}

Labels Labels::WithoutName() const {
  Labels out;
  out.bytes_ = Filtered(*this, [](std::string_view n) { return n != kMetricNameLabel; });
  return out;
}

uint64_t Labels::Hash() const { return XXH3_64bits(bytes_.data(), bytes_.size()); }

std::string Labels::ToString() const {
  std::string out = "{";
  for (const Label& l : *this) {
    if (out.size() > 1) out += ", ";
    StrAppend(out, IsLegacyLabelName(l.name) ? std::string(l.name) : Quoted(l.name), "=",
              Quoted(l.value));
  }
  return out + "}";
}

std::strong_ordering Labels::operator<=>(const Labels& other) const {
  auto a = begin();
  auto b = other.begin();
  for (; a != end() && b != other.end(); ++a, ++b) {
    if (auto by_name = a->name <=> b->name; by_name != 0) return by_name;
    if (auto by_value = a->value <=> b->value; by_value != 0) return by_value;
  }
  if (a == end() && b == other.end()) return std::strong_ordering::equal;
  return a == end() ? std::strong_ordering::less : std::strong_ordering::greater;
}

LabelsBuilder::LabelsBuilder(const Labels& base) {
  for (const Label& l : base) labels_.emplace_back(l.name, l.value);
}

void LabelsBuilder::Set(std::string_view name, std::string_view value) {
  auto at = std::lower_bound(labels_.begin(), labels_.end(), name,
                             [](const auto& l, std::string_view n) { return l.first < n; });
  const bool there = at != labels_.end() && at->first == name;
  if (value.empty()) {
    if (there) labels_.erase(at);
  } else if (there) {
    at->second = value;
  } else {
    labels_.emplace(at, name, value);
  }
}

std::string_view LabelsBuilder::Get(std::string_view name) const {
  for (const auto& [n, v] : labels_) {
    if (n == name) return v;
  }
  return {};
}

std::vector<Label> LabelsBuilder::All() const {
  std::vector<Label> out;
  out.reserve(labels_.size());
  for (const auto& [n, v] : labels_) out.push_back({n, v});
  return out;
}

Labels LabelsBuilder::Build() const {
  Labels out;
  for (const auto& [n, v] : labels_) {
    AppendPiece(out.bytes_, n);
    AppendPiece(out.bytes_, v);
  }
  return out;
}

bool IsLegacyLabelName(std::string_view name) { return IsLegacy(name, false); }
bool IsLegacyMetricName(std::string_view name) { return IsLegacy(name, true); }

}  // namespace vedette
