#include "server/api/http/search.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/base/strings.h"

namespace vedette::api {
namespace {

constexpr uint64_t kDefaultLimit = 100;
constexpr size_t kMaxSearchBytes = 1024;

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

struct Wanted {
  std::vector<std::string> searches;
  bool jaro = false;
  double threshold = 0;
  bool case_sensitive = true;
  bool by_score = false;
  bool descending = false;
  bool include_score = false;
  bool include_metadata = false;
  uint64_t limit = kDefaultLimit;
  uint64_t batch = kDefaultLimit;
};

struct Found {
  std::string name;
  double score = 1;
};

// A number parameter, or the default; a Reply where it is none.
std::optional<Reply> Number(const Call& call, std::string_view name, uint64_t& out) {
  const auto text = call.Get(name);
  if (!text || text->empty()) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  if (error != std::errc() || end != text->data() + text->size()) {
    return BadParameter(name, StrCat("cannot parse ", Quoted(*text), " as a whole number"));
  }
  return std::nullopt;
}

std::optional<Reply> Switch(const Call& call, std::string_view name, bool& out) {
  const auto text = call.Get(name);
  if (!text || text->empty()) return std::nullopt;
  if (*text != "true" && *text != "false" && *text != "1" && *text != "0") {
    return BadParameter(name, StrCat(Quoted(*text), " is neither true nor false"));
  }
  out = *text == "true" || *text == "1";
  return std::nullopt;
}

// One of two words; `second` is set when it is the other one.
std::optional<Reply> Choice(const Call& call, std::string_view name, std::string_view first,
                            std::string_view other, bool& second) {
  const auto text = call.Get(name);
  if (!text || text->empty()) return std::nullopt;
  if (*text != first && *text != other) {
    return BadParameter(name, StrCat(Quoted(*text), " is neither ", first, " nor ", other));
  }
  second = *text == other;
  return std::nullopt;
}

std::optional<Reply> Read(const Call& call, uint64_t max_limit, Wanted& out) {
  for (const std::string_view s : call.All("search[]")) {
    if (s.size() > kMaxSearchBytes) {
      return BadParameter("search[]", StrCat("longer than ", kMaxSearchBytes, " bytes"));
    }
    if (!s.empty()) out.searches.emplace_back(s);
  }
  uint64_t threshold = 0;
  if (auto bad = Number(call, "fuzz_threshold", threshold)) return bad;
  if (threshold > 100) return BadParameter("fuzz_threshold", "must be from 0 to 100");
  out.threshold = static_cast<double>(threshold) / 100;
  if (auto bad = Choice(call, "fuzz_alg", "subsequence", "jarowinkler", out.jaro)) return bad;
  if (auto bad = Switch(call, "case_sensitive", out.case_sensitive)) return bad;
  if (auto bad = Choice(call, "sort_by", "alpha", "score", out.by_score)) return bad;
  if (auto bad = Choice(call, "sort_dir", "asc", "dsc", out.descending)) return bad;
  if (call.Get("sort_dir") && !call.Get("sort_by")) {
    return BadParameter("sort_dir", "is only valid with sort_by");
  }
  if (out.by_score && out.searches.empty()) {
    return BadParameter("sort_by", "score needs a search[]");
  }
  if (auto bad = Switch(call, "include_score", out.include_score)) return bad;
  if (auto bad = Switch(call, "include_metadata", out.include_metadata)) return bad;
  if (auto bad = Number(call, "limit", out.limit)) return bad;
  if (out.limit == 0 || out.limit > max_limit) out.limit = max_limit;
  if (auto bad = Number(call, "batch_size", out.batch)) return bad;
  if (out.batch == 0) out.batch = kDefaultLimit;
  if (!out.case_sensitive) {
    for (std::string& s : out.searches) s = Lower(s);
  }
  return std::nullopt;
}

// The best of all searches; nothing where none fits. What holds the very letters always does.
std::optional<double> Score(const Wanted& w, const std::string& name) {
  if (w.searches.empty()) return 1.0;
  const std::string folded = w.case_sensitive ? name : Lower(name);
  std::optional<double> best;
  for (const std::string& s : w.searches) {
    const bool inside = folded.find(s) != std::string::npos;
    double score = w.jaro ? JaroWinklerScore(s, folded) : SubsequenceScore(s, folded);
    if (inside) {
      // What stands in front counts for more.
      score = std::max(score, folded == s ? 1.0 : folded.starts_with(s) ? 0.9 : 0.8);
    } else if (score <= 0 || score < w.threshold || (w.jaro && w.threshold == 0)) {
      continue;
    }
    best = std::max(best.value_or(0), score);
  }
  return best;
}

}  // namespace

double SubsequenceScore(std::string_view typed, std::string_view candidate) {
  if (typed.empty()) return 1;
  if (typed == candidate) return 1;
  // Letters in order; runs and beginnings of words count double.
  size_t at = 0;
  double points = 0;
  bool run = false;
  for (size_t i = 0; i < candidate.size() && at < typed.size(); ++i) {
    if (candidate[i] != typed[at]) {
      run = false;
      continue;
    }
    const bool word = i == 0 || candidate[i - 1] == '_' || candidate[i - 1] == ':';
    points += run || word ? 2 : 1;
    run = true;
    ++at;
  }
  if (at < typed.size()) return 0;
  const double full = 2 * static_cast<double>(typed.size());
  const double length = static_cast<double>(typed.size()) / static_cast<double>(candidate.size());
  return 0.8 * points / full + 0.2 * length;
}

double JaroWinklerScore(std::string_view a, std::string_view b) {
  if (a == b) return 1;
  if (a.empty() || b.empty()) return 0;
  const size_t reach = std::max<size_t>(std::max(a.size(), b.size()) / 2, 1) - 1;
  std::vector<bool> in_a(a.size());
  std::vector<bool> in_b(b.size());
  double matches = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const size_t from = i > reach ? i - reach : 0;
    const size_t to = std::min(b.size(), i + reach + 1);
    for (size_t j = from; j < to; ++j) {
      if (in_b[j] || a[i] != b[j]) continue;
      in_a[i] = in_b[j] = true;
      matches += 1;
      break;
    }
  }
  if (matches == 0) return 0;
  double swapped = 0;
  size_t j = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!in_a[i]) continue;
    while (!in_b[j]) ++j;
    if (a[i] != b[j++]) swapped += 1;
  }
  const double jaro = (matches / static_cast<double>(a.size()) +
                       matches / static_cast<double>(b.size()) + (matches - swapped / 2) / matches) /
                      3;
  size_t prefix = 0;
  while (prefix < std::min<size_t>({4, a.size(), b.size()}) && a[prefix] == b[prefix]) ++prefix;
  return jaro + static_cast<double>(prefix) * 0.1 * (1 - jaro);
}

Reply SearchDoor::LabelValues(const Call& call) const {
  const std::string_view label = call.Get("label").value_or("");
  if (label.empty()) return BadParameter("label", "the name of a label is required");
  return Search(call, label, false);
}

Reply SearchDoor::Search(const Call& call, std::string_view label, bool metrics) const {
  Wanted wanted;
  if (auto bad = Read(call, max_limit_, wanted)) return *std::move(bad);
  const Result<TimeRange> given = RangeOf(call);
  if (!given.ok()) return Failure(given.status());
  if (given->end_ms < given->start_ms) {
    return BadParameter("end", "end timestamp must not be before start timestamp");
  }
  std::vector<std::vector<Matcher>> selectors;
  for (const std::string_view text : call.All("match[]")) {
    Result<std::vector<Matcher>> m = parse_(text);
    if (!m.ok()) return BadParameter("match[]", m.status());
    selectors.push_back(*std::move(m));
  }
  if (selectors.empty()) selectors.emplace_back();
  const Result<std::unique_ptr<storage::Querier>> querier =
      queryable_.Open(given->start_ms, given->end_ms);
  if (!querier.ok()) return Failure(querier.status());
  std::set<std::string> names;
  for (const std::vector<Matcher>& m : selectors) {
    Result<std::vector<std::string>> part =
        label.empty() ? (*querier)->LabelNames(m, nullptr)
                      : (*querier)->LabelValues(std::string(label), m, nullptr);
    if (!part.ok()) return Failure(part.status());
    names.insert(std::make_move_iterator(part->begin()), std::make_move_iterator(part->end()));
  }
  std::vector<Found> found;
  for (const std::string& name : names) {
    if (const std::optional<double> score = Score(wanted, name)) found.push_back({name, *score});
  }
  if (wanted.by_score) {
    std::ranges::stable_sort(found, [&](const Found& a, const Found& b) {
      return wanted.descending || !call.Get("sort_dir") ? a.score > b.score : a.score < b.score;
    });
  } else if (wanted.descending) {
    std::ranges::reverse(found);
  }
  const bool more = found.size() > wanted.limit;
  if (more) found.resize(wanted.limit);

  Reply reply;
  reply.content_type = "application/x-ndjson; charset=utf-8";
  for (size_t from = 0; from == 0 || from < found.size(); from += wanted.batch) {
    JsonWriter json(&reply.body);
    json.BeginObject().Key("results").BeginArray();
    for (size_t i = from; i < std::min<size_t>(found.size(), from + wanted.batch); ++i) {
      json.BeginObject().Key("name").String(found[i].name);
      if (wanted.include_score) json.Key("score").Number(found[i].score);
      if (metrics && wanted.include_metadata) {
        const std::vector<storage::NamedMetadata> m = metadata_.Select(found[i].name);
        if (!m.empty()) {
          json.Key("type").String(MetricTypeName(m[0].metadata.type));
          json.Key("help").String(m[0].metadata.help);
          json.Key("unit").String(m[0].metadata.unit);
        }
      }
      json.EndObject();
    }
    json.EndArray().EndObject();
    reply.body += '\n';
  }
  JsonWriter(&reply.body)
      .BeginObject()
      .Key("status")
      .String("success")
      .Key("has_more")
      .Bool(more)
      .EndObject();
  reply.body += '\n';
  return reply;
}

}  // namespace vedette::api
