#include "server/api/http/series.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "server/api/http/params.h"

namespace vedette::api {
namespace {

constexpr std::string_view kEmptySelector = "must contain at least one non-empty matcher";

Status NothingToMatch() {
  return InvalidArgument(StrCat("invalid parameter \"match[]\": match[] ", kEmptySelector));
}

// Sorted union of sorted lists.
template <typename T>
void Merge(std::vector<T>& into, std::vector<T> more) {
  if (into.empty()) {
    into = std::move(more);
    return;
  }
  std::vector<T> merged;
  std::ranges::set_union(into, more, std::back_inserter(merged));
  into = std::move(merged);
}

// A label name that the URL path could not say: U__ and then _XX_ for each odd character, __ for an
// underscore (Prometheus' value encoding of UTF-8 names).
std::string UnescapeName(std::string_view name) {
  if (!name.starts_with("U__")) return std::string(name);
  std::string out;
  for (size_t i = 3; i < name.size(); ++i) {
    if (name[i] != '_') {
      out += name[i];
      continue;
    }
    if (i + 1 < name.size() && name[i + 1] == '_') {
      out += '_';
      ++i;
      continue;
    }
    const size_t end = name.find('_', i + 1);
    if (end == std::string_view::npos || end == i + 1 || end - i > 7) return std::string(name);
    uint32_t code = 0;
    const auto [at, error] = std::from_chars(name.data() + i + 1, name.data() + end, code, 16);
    if (error != std::errc() || at != name.data() + end || code > 0x10ffff) {
      return std::string(name);
    }
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
    } else if (code < 0x10000) {
      out += {static_cast<char>(0xe0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
              static_cast<char>(0x80 | (code & 63))};
    } else {
      out += {static_cast<char>(0xf0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 63)),
              static_cast<char>(0x80 | (code >> 6 & 63)), static_cast<char>(0x80 | (code & 63))};
    }
    i = end;
  }
  return out;
}

template <typename T, typename Write>
Reply List(const std::vector<T>& items, bool truncated, Write write) {
  Notes notes;
  if (truncated) notes.warnings.emplace_back(kTruncated);
  return Success(
      [&](JsonWriter& json) {
        json.BeginArray();
        for (const T& item : items) write(json, item);
        json.EndArray();
      },
      notes);
}

}  // namespace

Result<std::vector<std::vector<Matcher>>> SeriesDoor::Selectors(const Call& call) const {
  std::vector<std::vector<Matcher>> out;
  for (const std::string_view text : call.All("match[]")) {
    Result<std::vector<Matcher>> matchers = parse_(text);
    if (!matchers.ok()) {
      // The parser's words for it speak of a vector selector.
      if (matchers.status().message().ends_with(kEmptySelector)) return NothingToMatch();
      return matchers.status().Annotate("invalid parameter \"match[]\"");
    }
    if (std::ranges::all_of(*matchers, [](const Matcher& m) { return m.MatchesEmpty(); })) {
      return NothingToMatch();
    }
    out.push_back(*std::move(matchers));
  }
  return out;
}

template <typename T, typename Ask, typename Write>
Reply SeriesDoor::Union(const Call& call, bool selector_required, Ask ask, Write write) const {
  const Result<TimeRange> range = RangeOf(call);
  if (!range.ok()) return Failure(range.status());
  const Result<uint64_t> limit = LimitOf(call);
  if (!limit.ok()) return Failure(limit.status());
  auto selectors = Selectors(call);
  if (!selectors.ok()) return Failure(selectors.status());
  if (selectors->empty()) {
    if (selector_required) return Failure(ErrorType::kBadData, "no match[] parameter provided");
    selectors->emplace_back();
  }
  const auto querier = queryable_.Open(range->start_ms, range->end_ms);
  if (!querier.ok()) return Failure(ErrorType::kExecution, querier.status().message());
  std::vector<T> found;
  bool truncated = false;
  for (const auto& matchers : *selectors) {
    storage::NameLimit name_limit{.limit = *limit};
    Result<std::vector<T>> part = ask(**querier, matchers, &name_limit);
    if (!part.ok()) return Failure(ErrorType::kExecution, part.status().message());
    truncated |= name_limit.truncated;
    Merge(found, *std::move(part));
  }
  if (*limit > 0 && found.size() > *limit) {
    found.resize(*limit);
    truncated = true;
  }
  return List(found, truncated, write);
}

Reply SeriesDoor::Series(const Call& call) {
  return Union<Labels>(
      call, true,
      [](storage::Querier& q, const auto& matchers, storage::NameLimit* limit) {
        return q.SeriesLabels(matchers, limit);
      },
      [](JsonWriter& json, const Labels& l) { json.Object(l); });
}

Reply SeriesDoor::LabelNames(const Call& call) {
  return Union<std::string>(
      call, false,
      [](storage::Querier& q, const auto& matchers, storage::NameLimit* limit) {
        return q.LabelNames(matchers, limit);
      },
      [](JsonWriter& json, const std::string& name) { json.String(name); });
}

Reply SeriesDoor::LabelValues(const Call& call) {
  const std::string name = UnescapeName(call.PathParam("name"));
  if (name.empty() || !IsValidUtf8(name)) {
    return Failure(ErrorType::kBadData, StrCat("invalid label name: ", Quoted(name)));
  }
  return Union<std::string>(
      call, false,
      [&](storage::Querier& q, const auto& matchers, storage::NameLimit* limit) {
        return q.LabelValues(name, matchers, limit);
      },
      [](JsonWriter& json, const std::string& value) { json.String(value); });
}

Reply SeriesDoor::Metadata(const Call& call) {
  const Result<uint64_t> limit = LimitOf(call);
  if (!limit.ok()) return Failure(ErrorType::kBadData, "limit must be a number");
  // One entry a name is kept, so any limit of entries is kept too.
  if (const auto text = call.Get("limit_per_metric"); text && !text->empty()) {
    if (text->find_first_not_of("-0123456789") != std::string_view::npos) {
      return Failure(ErrorType::kBadData, "limit_per_metric must be a number");
    }
  }
  const auto all = metadata_.Select(std::string(call.Get("metric").value_or("")));
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    uint64_t written = 0;
    for (const storage::NamedMetadata& m : all) {
      if (*limit > 0 && written++ == *limit) break;
      json.Key(m.metric_name).BeginArray().BeginObject();
      json.Key("type").String(MetricTypeName(m.metadata.type));
      json.Key("help").String(m.metadata.help);
      json.Key("unit").String(m.metadata.unit);
      json.EndObject().EndArray();
    }
    json.EndObject();
  });
}

Reply SeriesDoor::Exemplars(
    const Call& call,
    const std::function<Result<std::vector<std::vector<Matcher>>>(std::string_view)>&
        selectors_of_query) {
  const Result<TimeRange> range = RangeOf(call);
  if (!range.ok()) return Failure(range.status());
  if (range->end_ms < range->start_ms) {
    return Failure(ErrorType::kBadData, "end timestamp must not be before start timestamp");
  }
  const auto selectors = selectors_of_query(call.Get("query").value_or(""));
  if (!selectors.ok()) return BadParameter("query", selectors.status());
  const auto found = exemplars_.Select(range->start_ms, range->end_ms, *selectors);
  if (!found.ok()) return Failure(ErrorType::kExecution, found.status().message());
  return List(*found, false, [](JsonWriter& json, const storage::SeriesExemplars& s) {
    json.BeginObject().Key("seriesLabels").Object(s.series).Key("exemplars").BeginArray();
    for (const Exemplar& e : s.exemplars) {
      json.BeginObject().Key("labels").Object(e.labels).Key("value").Float(e.value);
      json.Key("timestamp").Time(e.t_ms.value_or(0)).EndObject();
    }
    json.EndArray().EndObject();
  });
}

}  // namespace vedette::api
