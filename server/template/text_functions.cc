#include "server/template/text_functions.h"

#include <arpa/inet.h>
#include <re2/re2.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "common/base/strings.h"
#include "server/template/format.h"
#include "server/template/time_format.h"

namespace vedette::tmpl {
namespace {

std::string Short(double v) { return FormatFloat(v, 'g', 4); }  // %.4g

std::unique_ptr<re2::RE2> Compile(std::string_view pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  // Debian's RE2 does not know Go's newer way of naming a group.
  std::string text(pattern);
  for (size_t i = text.find("(?<"); i != text.npos; i = text.find("(?<", i + 3)) {
    if (i + 3 < text.size() && text[i + 3] != '=' && text[i + 3] != '!') text.insert(i + 2, "P");
  }
  return std::make_unique<re2::RE2>(text, options);
}

bool IsWordByte(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Appends `replacement` with its $ references filled in.
void Expand(const re2::RE2& re, std::string_view replacement,
            const std::vector<re2::StringPiece>& groups, std::string& out) {
  for (size_t i = 0; i < replacement.size(); ++i) {
    if (replacement[i] != '$' || i + 1 >= replacement.size()) {
      out += replacement[i];
      continue;
    }
    if (replacement[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const bool braces = replacement[i + 1] == '{';
    const size_t begin = i + 1 + braces;
    size_t end = begin;
    while (end < replacement.size() && IsWordByte(replacement[end])) ++end;
    if (end == begin || (braces && (end >= replacement.size() || replacement[end] != '}'))) {
      out += '$';
      continue;
    }
    const std::string name(replacement.substr(begin, end - begin));
    size_t group = groups.size();
    auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), group);
    if (error != std::errc() || stop != name.data() + name.size()) {
      group = groups.size();
      const auto& names = re.NamedCapturingGroups();
      if (auto it = names.find(name); it != names.end()) group = static_cast<size_t>(it->second);
    }
    if (group < groups.size() && groups[group].data() != nullptr) {
      out.append(groups[group].data(), groups[group].size());
    }
    i = end + braces - 1;
  }
}

std::string Scaled(double v, double step, std::string_view suffix_list, std::string_view unit) {
  // One letter a step, the first of them for one step.
  std::string prefix;
  for (char p : suffix_list) {
    if (step > 1 ? std::abs(v) < step : std::abs(v) >= 1) break;
    prefix = std::string(1, p);
    v /= step;
  }
  return StrCat(Short(v), prefix, prefix.empty() ? std::string_view() : unit);
}

}  // namespace

std::string Humanize(double v) {
  if (v == 0 || std::isnan(v) || std::isinf(v)) return Short(v);
  return std::abs(v) >= 1 ? Scaled(v, 1000, "kMGTPEZY", "") : Scaled(v, 0.001, "munpfazy", "");
}

std::string Humanize1024(double v) {
  if (std::abs(v) <= 1 || std::isnan(v) || std::isinf(v)) return Short(v);
  return Scaled(v, 1024, "kMGTPEZY", "i");
}

std::string HumanizeDuration(double v) {
  if (std::isnan(v) || std::isinf(v)) return Short(v);
  if (v == 0) return Short(v) + "s";
  if (std::abs(v) < 1) return Scaled(v, 0.001, "munpfazy", "") + "s";
  if (std::abs(v) > 9e15) return Short(v) + "s";
  const char* sign = v < 0 ? "-" : "";
  const double magnitude = std::abs(v);
  const auto total = static_cast<int64_t>(magnitude);
  const int64_t seconds = total % 60, minutes = total / 60 % 60, hours = total / 3600 % 24,
                days = total / 86400;
  if (days != 0) return StrCat(sign, days, "d ", hours, "h ", minutes, "m ", seconds, "s");
  if (hours != 0) return StrCat(sign, hours, "h ", minutes, "m ", seconds, "s");
  if (minutes != 0) return StrCat(sign, minutes, "m ", seconds, "s");
  return StrCat(sign, Short(magnitude), "s");
}

std::string HumanizePercentage(double v) { return Short(v * 100) + "%"; }

std::string HumanizeTimestamp(double v) {
  if (std::isnan(v) || std::isinf(v)) return Short(v);
  return TimeString(TimeFromSeconds(v));
}

std::string TitleCase(std::string_view text) {
  std::string out(text);
  bool word = false;
  for (char& c : out) {
    if (!word && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    word = IsWordByte(c);
  }
  return out;
}

std::string UpperCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  return out;
}

std::string LowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

Result<bool> RegexFinds(std::string_view pattern, std::string_view text) {
  const auto re = Compile(pattern);
  if (!re->ok()) return InvalidArgument(StrCat("error parsing regexp: ", re->error()));
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *re);
}

Result<std::string> RegexReplaceAll(std::string_view pattern, std::string_view replacement,
                                    std::string_view text) {
  const auto re = Compile(pattern);
  if (!re->ok()) return InvalidArgument(StrCat("error parsing regexp: ", re->error()));
  std::vector<re2::StringPiece> groups(static_cast<size_t>(re->NumberOfCapturingGroups()) + 1);
  const re2::StringPiece input(text.data(), text.size());
  std::string out;
  size_t pos = 0;
  size_t copied = 0;
  bool after_match = false;
  while (pos <= text.size() && re->Match(input, pos, text.size(), re2::RE2::UNANCHORED,
                                         groups.data(), static_cast<int>(groups.size()))) {
    const size_t begin = static_cast<size_t>(groups[0].data() - text.data());
    const size_t end = begin + groups[0].size();
    // An empty match right behind a match does not count, as in Go.
    if (begin != end || !after_match || begin != copied) {
      out.append(text.substr(copied, begin - copied));
      Expand(*re, replacement, groups, out);
      copied = end;
      after_match = true;
    }
    pos = end;
    if (begin == end) {
      ++pos;
      while (pos < text.size() && (static_cast<unsigned char>(text[pos]) & 0xc0) == 0x80) ++pos;
    }
  }
  out.append(text.substr(copied));
  return out;
}

std::string StripPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon == host.npos) return std::string(host);
  std::string_view name = host.substr(0, colon);
  if (name.starts_with('[') && name.ends_with(']'))
    return std::string(name.substr(1, name.size() - 2));
  if (name.find(':') != name.npos || name.find('[') != name.npos) return std::string(host);
  return std::string(name);
}

std::string StripDomain(std::string_view host_port) {
  std::string host(host_port), port;
  const size_t colon = host_port.rfind(':');
  if (colon != host_port.npos) {
    host = StripPort(host_port);
    if (host != host_port) port = host_port.substr(colon + 1);
  }
  unsigned char address[16];
  if (inet_pton(AF_INET, host.c_str(), address) == 1 ||
      inet_pton(AF_INET6, host.c_str(), address) == 1) {
    return std::string(host_port);
  }
  host = host.substr(0, host.find('.'));
  return port.empty() ? host : StrCat(host, ":", port);
}

Result<double> ToNumber(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kInt:
      return static_cast<double>(value.integer());
    case Value::Kind::kFloat:
      return value.real();
    case Value::Kind::kDuration:
      return static_cast<double>(value.duration().ns) / 1e9;
    case Value::Kind::kString: {
      std::string_view s = value.string();
      if (s.starts_with('+')) s.remove_prefix(1);
      double v = 0;
      auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
      if (error == std::errc() && end == s.data() + s.size() && !s.empty()) return v;
      return InvalidArgument(StrCat("can't convert ", Quoted(value.string()), " to float"));
    }
    default:
      return InvalidArgument(StrCat("can't convert ", value.type_name(), " to float"));
  }
}

Time TimeFromSeconds(double seconds) {
  // What does not fit is told as the nearest time that does: 250 million years are enough.
  constexpr double kMost = 8e15;
  seconds = std::isnan(seconds) ? 0 : std::fmin(std::fmax(seconds, -kMost), kMost);
  Time t;
  // Cut to milliseconds, as Prometheus does; by way of nanoseconds where they fit, for the same
  // rounding.
  t.unix_ms = std::abs(seconds) < 9e9 ? static_cast<int64_t>(seconds * 1e9) / 1'000'000
                                      : static_cast<int64_t>(seconds * 1000);
  return t;
}

Value LabelsValue(const Labels& labels) {
  Map map;
  for (const Label& l : labels) map.emplace(l.name, Value(l.value));
  return Value(std::move(map), &StringMapType());
}

namespace {

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '&') {
          char buffer[8];
          std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
          out += buffer;
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void AppendJson(const Value& v, std::string& out) {
  switch (v.kind()) {
    case Value::Kind::kNil:
      out += "null";
      break;
    case Value::Kind::kBool:
      out += v.boolean() ? "true" : "false";
      break;
    case Value::Kind::kInt:
      StrAppend(out, v.integer());
      break;
    case Value::Kind::kFloat:
      out += std::isfinite(v.real()) ? FormatFloat(v.real(), 'g', -1) : "null";
      break;
    case Value::Kind::kString:
      AppendJsonString(v.string(), out);
      break;
    case Value::Kind::kTime:
      AppendJsonString(FormatTime(v.time(), "2006-01-02T15:04:05.999999999Z07:00"), out);
      break;
    case Value::Kind::kDuration:
      StrAppend(out, v.duration().ns);
      break;
    case Value::Kind::kList: {
      out += '[';
      bool first = true;
      for (const Value& e : v.list()) {
        if (!std::exchange(first, false)) out += ',';
        AppendJson(e, out);
      }
      out += ']';
      break;
    }
    case Value::Kind::kMap: {
      const bool is_struct = v.type() != nullptr && v.type()->absent == TypeInfo::Absent::kError;
      out += '{';
      bool first = true;
      for (const auto& [key, e] : v.map()) {
        if (!std::exchange(first, false)) out += ',';
        std::string name = key;
        if (is_struct && !name.empty() && name[0] >= 'A' && name[0] <= 'Z') {
          name[0] = static_cast<char>(name[0] + 32);
        }
        AppendJsonString(name, out);
        out += ':';
        AppendJson(e, out);
      }
      out += '}';
      break;
    }
  }
}

}  // namespace

std::string ToJson(const Value& value) {
  std::string out;
  AppendJson(value, out);
  return out;
}

}  // namespace vedette::tmpl
