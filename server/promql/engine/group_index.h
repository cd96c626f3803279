#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/model/labels.h"

namespace vedette::promql {

// GroupIndex numbers label sets by some of their labels: the groups of an aggregation, the classic
// histograms that buckets belong to. A series of a group that is there already costs no allocation.
class GroupIndex {
 public:
  // By the named labels alone, or by all but those: the same at every call. `fresh`: the first one of
  // its group.
  size_t Of(const Labels& labels, std::span<const std::string> names, bool without, bool* fresh) {
    *fresh = false;
    // Series that follow each other are often of one group, by all that they show of themselves.
    if (!labels_.empty() && labels.bytes() == last_) return last_group_;
    last_group_ = Find(labels, names, without, fresh);
    last_ = labels.bytes();
    return last_group_;
  }

  const Labels& labels(size_t group) const { return labels_[group]; }

 private:
  size_t Find(const Labels& labels, std::span<const std::string> names, bool without,
              bool* fresh) {
    key_.clear();
    size_t found = 0;
    const char* begin = labels.bytes().data();
    for (const Label& l : labels) {
      const char* end = l.value.data() + l.value.size();
      bool named = false;
      for (const std::string& name : names) named = named || name == l.name;
      if (named != without) key_.append(begin, end);
      begin = end;
      if (named && !without && ++found == names.size()) break;
    }
    const auto it = groups_.find(std::string_view(key_));
    *fresh = it == groups_.end();
    if (!*fresh) return it->second;
    groups_.emplace(key_, labels_.size());
    labels_.push_back(without ? labels.Without(names) : labels.Only(names));
    return labels_.size() - 1;
  }

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return std::hash<std::string_view>()(key); }
  };

  std::unordered_map<std::string, size_t, Hash, std::equal_to<>> groups_;
  std::vector<Labels> labels_;
  std::string key_;
  std::string last_;  // The labels that were asked for last, and
  size_t last_group_ = 0;
};

}  // namespace vedette::promql
