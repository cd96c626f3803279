#include "server/push/group.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "common/base/strings.h"
#include "common/exposition/protobuf.h"
#include "common/exposition/text_parser.h"
#include "common/exposition/writer.h"

namespace vedette::push {
namespace {

constexpr std::string_view kPushTime = "push_time_seconds";
constexpr std::string_view kFailureTime = "push_failure_time_seconds";
constexpr std::string_view kMagic = "vedette-push 1";

MetricFamily TimeFamily(std::string_view name, std::string_view help, const Labels& key,
                        int64_t t_ms) {
  MetricFamily family;
  family.name = std::string(name);
  family.metadata = {.type = MetricType::kGauge, .help = std::string(help)};
  LabelsBuilder labels(key);
  labels.Set(kMetricNameLabel, name);
  family.samples.push_back({.labels = labels.Build(), .value = static_cast<double>(t_ms) / 1000});
  return family;
}

bool HasNative(const MetricFamily& family) {
  return std::ranges::any_of(family.samples, [](const auto& s) { return s.histogram != nullptr; });
}

}  // namespace

std::vector<MetricFamily> PushTimes(const Group& group) {
  std::vector<MetricFamily> out;
  out.push_back(TimeFamily(kFailureTime,
                           "Last Unix time when changing this group in the Pushgateway failed.",
                           group.key, group.failed_ms));
  out.push_back(TimeFamily(kPushTime,
                           "Last Unix time when changing this group in the Pushgateway succeeded.",
                           group.key, group.pushed_ms));
  return out;
}

bool IsPushTimeName(std::string_view name) { return name == kPushTime || name == kFailureTime; }

// "vedette-push 1 PUSHED FAILED TTL OK KEY TEXT\n", then KEY bytes of Labels::bytes(), TEXT bytes of
// text exposition, and the rest delimited protobuf: what the text form cannot say (native
// histograms).
std::string GroupToBytes(const Group& group) {
  std::string text;
  std::vector<MetricFamily> native;
  for (const MetricFamily& family : group.families) {
    if (HasNative(family)) {
      native.push_back(family);
    } else {
      exposition::AppendText(text, family);
    }
  }
  return StrCat(kMagic, " ", group.pushed_ms, " ", group.failed_ms, " ", group.ttl_ms, " ",
                group.last_push_ok ? 1 : 0, " ", group.key.bytes().size(), " ", text.size(), "\n",
                group.key.bytes(), text, exposition::WriteProtobuf(native));
}

Result<Group> GroupFromBytes(std::string_view bytes) {
  const size_t end = bytes.find('\n');
  if (!bytes.starts_with(kMagic) || end == std::string_view::npos) {
    return DataLoss("a pushed group without its first line");
  }
  const auto words = Split(bytes.substr(kMagic.size(), end - kMagic.size()), ' ');
  int64_t numbers[6] = {};
  if (words.size() != std::size(numbers) + 1) {
    return DataLoss("a pushed group's first line is damaged");
  }
  for (size_t i = 0; i < std::size(numbers); ++i) {
    const std::string_view word = words[i + 1];
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), numbers[i]);
    if (error != std::errc() || stop != word.data() + word.size() || numbers[i] < 0) {
      return DataLoss("a pushed group's first line is damaged");
    }
  }
  std::string_view rest = bytes.substr(end + 1);
  const auto key_size = static_cast<uint64_t>(numbers[4]);
  const auto text_size = static_cast<uint64_t>(numbers[5]);
  if (key_size > rest.size() || text_size > rest.size() - key_size) {
    return DataLoss("a pushed group is cut short");
  }
  Group group{.pushed_ms = numbers[0],
              .failed_ms = numbers[1],
              .ttl_ms = numbers[2],
              .last_push_ok = numbers[3] != 0};
  VEDETTE_ASSIGN_OR_RETURN(group.key, Labels::FromBytes(rest.substr(0, key_size)));
  VEDETTE_ASSIGN_OR_RETURN(
      group.families,
      exposition::ParseText(rest.substr(key_size, text_size), exposition::TextDialect::kText));
  VEDETTE_RETURN_IF_ERROR(exposition::ParseProtobuf(
      rest.substr(key_size + text_size), {.native_histograms = true, .always_classic = true},
      [&](MetricFamily& family) {
        group.families.push_back(std::move(family));
        return Status();
      }));
  std::ranges::sort(group.families, {}, &MetricFamily::name);
  return group;
}

}  // namespace vedette::push
