#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"

namespace vedette {

inline constexpr std::string_view kMetricNameLabel = "__name__";

// One label of a set. The views are into the set.
struct Label {
  std::string_view name;
  std::string_view value;

  bool operator==(const Label&) const = default;
};

// Labels is the identity of a series: names and values, sorted by name, no name twice, no empty
// value (an empty value means that the label is not there).
//
//   Labels labels = Labels::Of({{"__name__", "up"}, {"job", "node"}});
//   for (Label l : labels) Use(l.name, l.value);
//
// All of it is one string of length-prefixed pieces, so a set costs one allocation, equality is one
// memcmp, and bytes() can be stored or hashed as it is. A length below 255 is one byte; a longer
// one is the byte 255 and three more, little-endian.
//
// Thread-compatible: immutable but for assignment.
class Labels {
 public:
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Label;
    using difference_type = std::ptrdiff_t;
    using pointer = const Label*;
    using reference = const Label&;

    Iterator() = default;
    explicit Iterator(std::string_view rest) : rest_(rest) { Read(); }
    const Label& operator*() const { return label_; }
    const Label* operator->() const { return &label_; }
    Iterator& operator++() {
      rest_.remove_prefix(length_);
      Read();
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return rest_.size() == other.rest_.size(); }

   private:
    void Read();

    std::string_view rest_;
    size_t length_ = 0;
    Label label_;
  };

  Labels() = default;

  // Any order; a name given twice keeps the last value; empty values are dropped.
  static Labels Of(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs);
  static Labels Of(std::vector<Label> labels);

  // What bytes() gave, from a disk or a peer. Checks the structure, order and emptiness.
  static Result<Labels> FromBytes(std::string_view bytes);

  Iterator begin() const { return Iterator(bytes_); }
  Iterator end() const { return Iterator(); }
  bool empty() const { return bytes_.empty(); }
  size_t size() const;  // Walks the set.

  // The value, or "" where there is no such label.
  std::string_view Get(std::string_view name) const;
  bool Has(std::string_view name) const { return !Get(name).empty(); }
  std::string_view metric_name() const { return Get(kMetricNameLabel); }

  // The set without, or with only, the named labels.
  Labels Without(std::span<const std::string> names) const;
  Labels Only(std::span<const std::string> names) const;
  Labels WithoutName() const;  // Without __name__.

  // Hash of bytes(): stable across processes and releases, so it may be stored.
  uint64_t Hash() const;
  std::string_view bytes() const { return bytes_; }

  // {a="b", c="d"}, names that need it quoted.
  std::string ToString() const;

  bool operator==(const Labels&) const = default;
  // By name, then value, label by label, as Prometheus orders series.
  std::strong_ordering operator<=>(const Labels& other) const;

 private:
  friend class LabelsBuilder;
  std::string bytes_;
};

struct LabelsHash {
  size_t operator()(const Labels& labels) const { return labels.Hash(); }
};

// Changes a copy of a label set. Cheap when nothing is changed.
//
//   LabelsBuilder b(base);
//   b.Set("instance", "db:9104");
//   b.Delete("tmp");
//   Labels changed = b.Build();
class LabelsBuilder {
 public:
  LabelsBuilder() = default;
  explicit LabelsBuilder(const Labels& base);

  void Set(std::string_view name, std::string_view value);  // An empty value deletes.
  void Delete(std::string_view name) { Set(name, ""); }
  std::string_view Get(std::string_view name) const;
  // In order of names. Views until the next change.
  std::vector<Label> All() const;
  Labels Build() const;

 private:
  std::vector<std::pair<std::string, std::string>> labels_;  // Sorted by name.
};

// [a-zA-Z_][a-zA-Z0-9_]*, and for metric names also ':'. What the classic text forms can say
// without quotes.
bool IsLegacyLabelName(std::string_view name);
bool IsLegacyMetricName(std::string_view name);

}  // namespace vedette
