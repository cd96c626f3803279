#include "server/template/builtins.h"

#include <cmath>
#include <cstdio>

#include "common/base/strings.h"
#include "server/template/format.h"
#include "server/template/time_format.h"

namespace vedette::tmpl {
namespace {

using Kind = Value::Kind;

std::string JsEscape(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\'':
        out += "\\'";
        break;
      case '"':
        out += "\\\"";
        break;
      case '<':
        out += "\\u003C";
        break;
      case '>':
        out += "\\u003E";
        break;
      case '&':
        out += "\\u0026";
        break;
      case '=':
        out += "\\u003D";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char buffer[8];
          std::snprintf(buffer, sizeof buffer, "\\u%04X", static_cast<unsigned>(c));
          out += buffer;
        } else {
          out += c;
        }
    }
  }
  return out;
}

// How many of the arguments are one text: as print would write them.
std::string JoinedText(const Call& call) {
  if (call.args().size() == 1 && call.args()[0].is(Kind::kString)) return call.args()[0].string();
  return Sprint(call.args());
}

// -1, 0, 1; 2 where there is no order (NaN).
Result<int> Compare(const Value& a, const Value& b) {
  auto order = [](auto x, auto y) { return x < y ? -1 : x == y ? 0 : x > y ? 1 : 2; };
  const bool durations = a.is(Kind::kDuration) || b.is(Kind::kDuration);
  if (durations && (a.is(Kind::kDuration) || a.is(Kind::kInt)) &&
      (b.is(Kind::kDuration) || b.is(Kind::kInt))) {
    auto ns = [](const Value& v) { return v.is(Kind::kInt) ? v.integer() : v.duration().ns; };
    return order(ns(a), ns(b));
  }
  if (a.kind() != b.kind()) return InvalidArgument("incompatible types for comparison");
  switch (a.kind()) {
    case Kind::kBool:
      return a.boolean() == b.boolean() ? 0 : 2;
    case Kind::kInt:
      return order(a.integer(), b.integer());
    case Kind::kFloat:
      return order(a.real(), b.real());
    case Kind::kString:
      return order(a.string().compare(b.string()), 0);
    case Kind::kTime:
      return order(a.time().unix_ms, b.time().unix_ms);
    default:
      return InvalidArgument("invalid type for comparison");
  }
}

Result<bool> Equal(const Value& a, const Value& b) {
  if (a.is(Kind::kNil) || b.is(Kind::kNil)) return a.is(Kind::kNil) && b.is(Kind::kNil);
  VEDETTE_ASSIGN_OR_RETURN(int order, Compare(a, b));
  return order == 0;
}

template <typename Accept>
Function Ordering(Accept accept) {
  return [accept](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    const Value& a = call.args()[0];
    if (a.is(Kind::kBool)) return InvalidArgument("invalid type for comparison");
    VEDETTE_ASSIGN_OR_RETURN(int order, Compare(a, call.args()[1]));
    return Value(static_cast<bool>(accept(order)));
  };
}

Result<Value> Index(const Call& call) {
  VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, SIZE_MAX));
  Value v = call.args()[0];
  for (size_t i = 1; i < call.args().size(); ++i) {
    const Value& key = call.args()[i];
    if (v.is(Kind::kMap)) {
      VEDETTE_ASSIGN_OR_RETURN(std::string name, StringArg(call, i));
      auto it = v.map().find(name);
      if (it != v.map().end()) {
        v = it->second;
      } else {
        const bool text = v.type() != nullptr && v.type()->absent == TypeInfo::Absent::kEmptyString;
        v = text ? Value("") : Value();
      }
      continue;
    }
    if (v.is(Kind::kList) || v.is(Kind::kString)) {
      if (!key.is(Kind::kInt)) {
        return InvalidArgument(StrCat("cannot index slice/array with type ", key.type_name()));
      }
      const size_t size = v.is(Kind::kList) ? v.list().size() : v.string().size();
      if (key.integer() < 0 || static_cast<uint64_t>(key.integer()) >= size) {
        return InvalidArgument(StrCat("index out of range: ", key.integer()));
      }
      const size_t at = static_cast<size_t>(key.integer());
      Value element = v.is(Kind::kList)
                          ? v.list()[at]
                          : Value(static_cast<int64_t>(static_cast<unsigned char>(v.string()[at])));
      v = std::move(element);
      continue;
    }
    if (v.is(Kind::kNil)) return InvalidArgument("index of nil pointer");
    return InvalidArgument(StrCat("can't index item of type ", v.type_name()));
  }
  return v;
}

Result<Value> Slice(const Call& call) {
  VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 3));
  const Value& v = call.args()[0];
  if (!v.is(Kind::kList) && !v.is(Kind::kString)) {
    return InvalidArgument(StrCat("can't slice item of type ", v.type_name()));
  }
  const int64_t size =
      static_cast<int64_t>(v.is(Kind::kList) ? v.list().size() : v.string().size());
  int64_t bounds[2] = {0, size};
  for (size_t i = 1; i < call.args().size(); ++i) {
    VEDETTE_ASSIGN_OR_RETURN(bounds[i - 1], IntArg(call, i));
    if (bounds[i - 1] < 0 || bounds[i - 1] > size) {
      return InvalidArgument(StrCat("index out of range: ", bounds[i - 1]));
    }
  }
  if (bounds[0] > bounds[1]) {
    return InvalidArgument(StrCat("invalid slice index: ", bounds[0], " > ", bounds[1]));
  }
  const auto from = static_cast<size_t>(bounds[0]);
  const auto to = static_cast<size_t>(bounds[1]);
  if (v.is(Kind::kString)) return Value(v.string().substr(from, to - from));
  return Value(List(v.list().begin() + bounds[0], v.list().begin() + bounds[1]), v.type());
}

Result<Value> Len(const Call& call) {
  VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
  const Value& v = call.args()[0];
  switch (v.kind()) {
    case Kind::kString:
      return Value(static_cast<int64_t>(v.string().size()));
    case Kind::kList:
      return Value(static_cast<int64_t>(v.list().size()));
    case Kind::kMap:
      return Value(static_cast<int64_t>(v.map().size()));
    case Kind::kNil:
      return InvalidArgument("len of nil pointer");
    default:
      return InvalidArgument(StrCat("len of type ", v.type_name()));
  }
}

FunctionMap MakeBuiltins() {
  FunctionMap f;
  f["not"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    return Value(!call.args()[0].truth());
  };
  f["len"] = Len;
  f["index"] = Index;
  f["slice"] = Slice;
  f["print"] = [](const Call& call) -> Result<Value> { return Value(Sprint(call.args())); };
  f["println"] = [](const Call& call) -> Result<Value> { return Value(Sprintln(call.args())); };
  f["printf"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, SIZE_MAX));
    VEDETTE_ASSIGN_OR_RETURN(std::string format, StringArg(call, 0));
    return Value(Sprintf(format, call.args().subspan(1)));
  };
  f["html"] = [](const Call& call) -> Result<Value> { return Value(HtmlEscape(JoinedText(call))); };
  f["js"] = [](const Call& call) -> Result<Value> { return Value(JsEscape(JoinedText(call))); };
  f["urlquery"] = [](const Call& call) -> Result<Value> {
    return Value(QueryEscape(JoinedText(call)));
  };
  f["eq"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, SIZE_MAX));
    for (size_t i = 1; i < call.args().size(); ++i) {
      VEDETTE_ASSIGN_OR_RETURN(bool equal, Equal(call.args()[0], call.args()[i]));
      if (equal) return Value(true);
    }
    return Value(false);
  };
  f["ne"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    VEDETTE_ASSIGN_OR_RETURN(bool equal, Equal(call.args()[0], call.args()[1]));
    return Value(!equal);
  };
  f["lt"] = Ordering([](int o) { return o == -1; });
  f["le"] = Ordering([](int o) { return o == -1 || o == 0; });
  f["gt"] = Ordering([](int o) { return o == 1; });
  f["ge"] = Ordering([](int o) { return o == 1 || o == 0; });
  return f;
}

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

Result<Value> DurationMethod(const Duration& d, std::string_view name,
                             std::span<const Value> args) {
  if (name == "Seconds") return Value(static_cast<double>(d.ns) / 1e9);
  if (name == "Minutes") return Value(static_cast<double>(d.ns) / 60e9);
  if (name == "Hours") return Value(static_cast<double>(d.ns) / 3600e9);
  if (name == "Milliseconds") return Value(d.ns / 1'000'000);
  if (name == "Microseconds") return Value(d.ns / 1000);
  if (name == "Nanoseconds") return Value(d.ns);
  if (name == "String") return Value(DurationString(d.ns));
  if ((name == "Round" || name == "Truncate") && args.size() == 1) {
    const int64_t unit = args[0].is(Kind::kDuration) ? args[0].duration().ns
                         : args[0].is(Kind::kInt)    ? args[0].integer()
                                                     : 0;
    if (unit <= 0) return Value(d);
    const int64_t down = d.ns - d.ns % unit;
    if (name == "Truncate") return Value(Duration{down});
    const int64_t rest = std::abs(d.ns % unit);
    const bool away = rest >= unit - rest;
    return Value(Duration{away ? down + (d.ns < 0 ? -unit : unit) : down});
  }
  return InvalidArgument(StrCat("can't evaluate field ", name, " in type time.Duration"));
}

}  // namespace

const FunctionMap& Builtins() {
  static const FunctionMap kBuiltins = MakeBuiltins();
  return kBuiltins;
}

Result<Value> CallTimeMethod(const Value& self, std::string_view name,
                             std::span<const Value> args) {
  if (self.is(Kind::kDuration)) return DurationMethod(self.duration(), name, args);
  const Time& t = self.time();
  const int64_t seconds = FloorDiv(t.unix_ms, 1000);
  const CivilTime civil = ToCivil(seconds + t.offset_seconds);
  if (name == "Format") {
    if (args.size() != 1 || !args[0].is(Kind::kString)) {
      return InvalidArgument("wrong number of args for Format: want 1 layout");
    }
    return Value(FormatTime(t, args[0].string()));
  }
  if (args.size() == 1 && args[0].is(Kind::kTime)) {
    const Time& o = args[0].time();
    const int64_t difference_ns =
        (t.unix_ms - o.unix_ms) * 1'000'000 + (t.nanos_below_ms - o.nanos_below_ms);
    if (name == "Sub") return Value(Duration{difference_ns});
    if (name == "Before") return Value(difference_ns < 0);
    if (name == "After") return Value(difference_ns > 0);
    if (name == "Equal") return Value(difference_ns == 0);
  }
  if (name == "Add" && args.size() == 1 && args[0].is(Kind::kDuration)) {
    Time sum = t;
    sum.unix_ms += args[0].duration().ns / 1'000'000;
    return Value(sum);
  }
  if (args.empty()) {
    if (name == "Unix") return Value(seconds);
    if (name == "UnixMilli") return Value(t.unix_ms);
    if (name == "UnixNano") return Value(t.unix_ms * 1'000'000 + t.nanos_below_ms);
    if (name == "String") return Value(TimeString(t));
    if (name == "IsZero") return Value(t.unix_ms == -62135596800000);
    if (name == "Year") return Value(civil.year);
    if (name == "Month") return Value(FormatTime(t, "January"));
    if (name == "Weekday") return Value(FormatTime(t, "Monday"));
    if (name == "Day") return Value(civil.day);
    if (name == "YearDay") return Value(civil.year_day);
    if (name == "Hour") return Value(civil.hour);
    if (name == "Minute") return Value(civil.minute);
    if (name == "Second") return Value(civil.second);
    if (name == "UTC" || name == "Local") {
      Time utc = t;
      utc.offset_seconds = 0;
      utc.zone = "UTC";
      return Value(utc);
    }
  }
  return InvalidArgument(StrCat("can't evaluate field ", name, " in type time.Time"));
}

Status CheckArgCount(const Call& call, size_t least, size_t most) {
  const size_t n = call.args().size();
  if (n >= least && n <= most) return Status();
  std::string want = least == most      ? StrCat(least)
                     : most == SIZE_MAX ? StrCat("at least ", least)
                                        : StrCat(least, " to ", most);
  return InvalidArgument(StrCat("wrong number of args: want ", want, " got ", n));
}

Result<std::string> StringArg(const Call& call, size_t i) {
  if (i >= call.args().size() || !call.args()[i].is(Kind::kString)) {
    return InvalidArgument(
        StrCat("argument ", i + 1, ": wrong type: expected string; got ",
               i < call.args().size() ? call.args()[i].type_name() : std::string_view("nothing")));
  }
  return call.args()[i].string();
}

Result<int64_t> IntArg(const Call& call, size_t i) {
  if (i >= call.args().size() || !call.args()[i].is(Kind::kInt)) {
    return InvalidArgument(
        StrCat("argument ", i + 1, ": wrong type: expected integer; got ",
               i < call.args().size() ? call.args()[i].type_name() : std::string_view("nothing")));
  }
  return call.args()[i].integer();
}

std::string QueryEscape(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      char buffer[4];
      std::snprintf(buffer, sizeof buffer, "%%%02X", static_cast<unsigned char>(c));
      out += buffer;
    }
  }
  return out;
}

std::string HtmlEscape(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace vedette::tmpl
