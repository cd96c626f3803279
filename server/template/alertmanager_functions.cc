#include "server/template/alertmanager_functions.h"

#include <optional>

#include "common/base/strings.h"
#include "server/template/builtins.h"
#include "server/template/format.h"
#include "server/template/text_functions.h"
#include "server/template/time_parse.h"
#include "server/template/time_zone.h"
#include "server/template/value.h"

namespace vedette::tmpl {
namespace {

template <typename F>
Function OfText(F f) {
  return [f](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(std::string s, StringArg(call, 0));
    return Value(f(s));
  };
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string Base64Encode(const std::string& in) {
  std::string out;
  for (size_t i = 0; i < in.size(); i += 3) {
    uint32_t v = 0;
    for (size_t k = 0; k < 3; ++k) {
      v = v << 8 | (i + k < in.size() ? static_cast<unsigned char>(in[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k <= in.size() ? kBase64[v >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

Result<std::string> Base64Decode(const std::string& in) {
  std::string out;
  uint32_t v = 0;
  int bits = 0;
  for (char c : in) {
    if (c == '=') break;
    const size_t digit = kBase64.find(c);
    if (digit == kBase64.npos) return InvalidArgument("illegal base64 data");
    v = v << 6 | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(v >> bits & 255);
    }
  }
  return out;
}

Result<std::string> UrlUnescape(const std::string& in) {
  std::string out;
  auto hex = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] == '+') {
      out += ' ';
    } else if (in[i] == '%') {
      const int high = i + 2 < in.size() ? hex(in[i + 1]) : -1;
      const int low = i + 2 < in.size() ? hex(in[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return InvalidArgument(StrCat("invalid URL escape ", Quoted(in.substr(i, 3))));
      }
      out += static_cast<char>(high << 4 | low);
      i += 2;
    } else {
      out += in[i];
    }
  }
  return out;
}

Result<Time> TimeArg(const Call& call, size_t i) {
  if (i >= call.args().size() || !call.args()[i].is(Value::Kind::kTime)) {
    return InvalidArgument(StrCat("argument ", i + 1, ": a time is needed"));
  }
  return call.args()[i].time();
}

Result<Value> Join(const Call& call) {
  VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
  VEDETTE_ASSIGN_OR_RETURN(std::string separator, StringArg(call, 0));
  if (!call.args()[1].is(Value::Kind::kList))
    return InvalidArgument("argument 2: a list is needed");
  std::string out;
  bool first = true;
  for (const Value& v : call.args()[1].list()) {
    if (!first) out += separator;
    first = false;
    out += v.is(Value::Kind::kString) ? v.string() : FormatValue(v);
  }
  return Value(std::move(out));
}

Result<Time> ToDate(const Call& call) {
  VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
  VEDETTE_ASSIGN_OR_RETURN(std::string layout, StringArg(call, 0));
  VEDETTE_ASSIGN_OR_RETURN(std::string text, StringArg(call, 1));
  return ParseTime(layout, text);
}

void AddTimeFunctions(FunctionMap& f, const Clock& clock) {
  f["now"] = [&clock](const Call&) -> Result<Value> {
    return Value(Time{.unix_ms = clock.NowMs()});
  };
  f["since"] = [&clock](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(Time t, TimeArg(call, 0));
    return Value(Duration{(clock.NowMs() - t.unix_ms) * 1'000'000});
  };
  f["date"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string layout, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(Time t, TimeArg(call, 1));
    const Value method_args[] = {Value(layout)};
    return CallTimeMethod(Value(t), "Format", method_args);
  };
  f["mustToDate"] = [](const Call& call) -> Result<Value> {
    VEDETTE_ASSIGN_OR_RETURN(Time t, ToDate(call));
    return Value(std::move(t));
  };
  // The first day of the calendar for what is no date.
  f["toDate"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    Result<Time> t = ToDate(call);
    return Value(t.ok() ? *std::move(t) : Time{.unix_ms = -62'135'596'800'000});
  };
  f["tz"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string name, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(Time t, TimeArg(call, 1));
    VEDETTE_ASSIGN_OR_RETURN(TimeZone zone, TimeZone::Load(name));
    const TimeZone::Offset offset = zone.At(t.unix_ms);
    t.offset_seconds = offset.seconds;
    t.zone = offset.abbreviation;
    return Value(std::move(t));
  };
  f["humanizeDuration"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(double v, ToNumber(call.args()[0]));
    return Value(HumanizeDuration(v));
  };
}

void AddListFunctions(FunctionMap& f) {
  f["join"] = Join;
  f["stringSlice"] = f["list"] = [](const Call& call) -> Result<Value> {
    return Value(List(call.args().begin(), call.args().end()));
  };
  f["append"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, SIZE_MAX));
    if (!call.args()[0].is(Value::Kind::kList)) {
      return InvalidArgument("argument 1: a list is needed");
    }
    List list = call.args()[0].list();
    list.insert(list.end(), call.args().begin() + 1, call.args().end());
    return Value(std::move(list));
  };
  f["dict"] = [](const Call& call) -> Result<Value> {
    if (call.args().size() % 2 != 0) return InvalidArgument("dict needs pairs of key and value");
    Map map;
    for (size_t i = 0; i < call.args().size(); i += 2) {
      VEDETTE_ASSIGN_OR_RETURN(std::string key, StringArg(call, i));
      map[std::move(key)] = call.args()[i + 1];
    }
    return Value(std::move(map));
  };
}

}  // namespace

std::shared_ptr<const FunctionMap> AlertmanagerFunctions(const Clock& clock) {
  auto map = std::make_shared<FunctionMap>();
  FunctionMap& f = *map;
  f["toUpper"] = OfText([](const std::string& s) { return UpperCase(s); });
  f["toLower"] = OfText([](const std::string& s) { return LowerCase(s); });
  f["title"] = OfText([](const std::string& s) { return TitleCase(s); });
  f["trimSpace"] = OfText([](const std::string& s) { return std::string(Trim(s)); });
  f["safeHtml"] = OfText([](const std::string& s) { return s; });
  f["safeUrl"] = OfText([](const std::string& s) { return s; });
  f["base64encode"] = OfText([](const std::string& s) { return Base64Encode(s); });
  f["base64decode"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(std::string s, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(std::string out, Base64Decode(s));
    return Value(std::move(out));
  };
  f["urlUnescape"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(std::string s, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(std::string out, UrlUnescape(s));
    return Value(std::move(out));
  };
  f["match"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string pattern, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(std::string text, StringArg(call, 1));
    VEDETTE_ASSIGN_OR_RETURN(bool found, RegexFinds(pattern, text));
    return Value(found);
  };
  f["reReplaceAll"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 3, 3));
    VEDETTE_ASSIGN_OR_RETURN(std::string pattern, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(std::string replacement, StringArg(call, 1));
    VEDETTE_ASSIGN_OR_RETURN(std::string text, StringArg(call, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string out, RegexReplaceAll(pattern, replacement, text));
    return Value(std::move(out));
  };
  f["toJson"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    return Value(ToJson(call.args()[0]));
  };
  AddTimeFunctions(f, clock);
  AddListFunctions(f);
  return map;
}

}  // namespace vedette::tmpl
