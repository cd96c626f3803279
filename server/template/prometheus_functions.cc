#include "server/template/prometheus_functions.h"

#include <algorithm>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "server/template/builtins.h"
#include "server/template/text_functions.h"

namespace vedette::tmpl {
namespace {

const TypeInfo kSample{"*template.sample", TypeInfo::Absent::kError, {}};

Function OfNumber(std::string (*f)(double)) {
  return [f](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(double v, ToNumber(call.args()[0]));
    return Value(f(v));
  };
}

template <typename F>
Function OfText(F f) {
  return [f](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(std::string s, StringArg(call, 0));
    return Value(f(s));
  };
}

// Argument `i` as one sample of a query's answer.
Result<Map> SampleArg(const Call& call, size_t i) {
  if (i >= call.args().size() || call.args()[i].type() != &kSample) {
    return InvalidArgument(StrCat("argument ", i + 1, ": a sample is needed"));
  }
  return call.args()[i].map();
}

std::string LabelOf(const Map& sample, const std::string& name) {
  const Map& labels = sample.find("Labels")->second.map();
  auto it = labels.find(name);
  return it == labels.end() ? "" : it->second.string();
}

void AddQueryFunctions(FunctionMap& f, std::shared_ptr<const PrometheusContext> context) {
  f["query"] = [context](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(std::string query, StringArg(call, 0));
    if (!context->query) return FailedPrecondition("queries are not possible here");
    VEDETTE_ASSIGN_OR_RETURN(std::vector<QuerySample> samples, context->query(query));
    List list;
    for (const QuerySample& s : samples) {
      list.push_back(Value(Map{{"Labels", LabelsValue(s.metric)},
                               {"Value", Value(s.value)},
                               {"Text", Value(s.text)}},
                           &kSample));
    }
    return Value(std::move(list));
  };
  f["first"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    if (!call.args()[0].is(Value::Kind::kList)) return InvalidArgument("a vector is needed");
    if (call.args()[0].list().empty()) {
      return InvalidArgument("first() called on vector with no elements");
    }
    return call.args()[0].list().front();
  };
  f["label"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string name, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(Map sample, SampleArg(call, 1));
    return Value(LabelOf(sample, name));
  };
  f["value"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(Map sample, SampleArg(call, 0));
    return sample.find("Value")->second;
  };
  f["strvalue"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(Map sample, SampleArg(call, 0));
    const std::string text = sample.find("Text")->second.string();
    return Value(text.empty() ? LabelOf(sample, "__value__") : text);
  };
  f["sortByLabel"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string name, StringArg(call, 0));
    if (!call.args()[1].is(Value::Kind::kList)) return InvalidArgument("a vector is needed");
    List sorted = call.args()[1].list();
    for (const Value& v : sorted) {
      if (v.type() != &kSample) return InvalidArgument("a vector of samples is needed");
    }
    std::stable_sort(sorted.begin(), sorted.end(), [&](const Value& a, const Value& b) {
      return LabelOf(a.map(), name) < LabelOf(b.map(), name);
    });
    return Value(std::move(sorted));
  };
}

// What stands after the host in a URL, without a slash at the end.
std::string PathOf(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t from = scheme == url.npos ? 0 : url.find('/', scheme + 3);
  if (from == url.npos) return "";
  std::string path = url.substr(from, url.find_first_of("?#", from) - from);
  while (path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

std::string GraphLink(const std::string& expr) {
  return StrCat("/graph?g0.expr=", QueryEscape(expr), "&g0.tab=0");
}
std::string TableLink(const std::string& expr) {
  return StrCat("/graph?g0.expr=", QueryEscape(expr), "&g0.tab=1");
}

std::shared_ptr<const FunctionMap> PrometheusFunctions(PrometheusContext given) {
  auto context = std::make_shared<const PrometheusContext>(std::move(given));
  auto map = std::make_shared<FunctionMap>();
  FunctionMap& f = *map;
  AddQueryFunctions(f, context);
  f["args"] = [](const Call& call) -> Result<Value> {
    Map args;
    for (size_t i = 0; i < call.args().size(); ++i) args[StrCat("arg", i)] = call.args()[i];
    return Value(std::move(args));
  };
  f["tmpl"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string name, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(std::string text, call.RunTemplate(name, call.args()[1]));
    return Value(std::move(text));
  };
  f["reReplaceAll"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 3, 3));
    VEDETTE_ASSIGN_OR_RETURN(std::string pattern, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(std::string replacement, StringArg(call, 1));
    VEDETTE_ASSIGN_OR_RETURN(std::string text, StringArg(call, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string out, RegexReplaceAll(pattern, replacement, text));
    return Value(std::move(out));
  };
  f["match"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 2, 2));
    VEDETTE_ASSIGN_OR_RETURN(std::string pattern, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(std::string text, StringArg(call, 1));
    VEDETTE_ASSIGN_OR_RETURN(bool found, RegexFinds(pattern, text));
    return Value(found);
  };
  f["safeHtml"] = OfText([](const std::string& s) { return s; });
  f["title"] = OfText([](const std::string& s) { return TitleCase(s); });
  f["toUpper"] = OfText([](const std::string& s) { return UpperCase(s); });
  f["toLower"] = OfText([](const std::string& s) { return LowerCase(s); });
  f["graphLink"] = OfText([](const std::string& s) { return GraphLink(s); });
  f["tableLink"] = OfText([](const std::string& s) { return TableLink(s); });
  f["stripPort"] = OfText([](const std::string& s) { return StripPort(s); });
  f["stripDomain"] = OfText([](const std::string& s) { return StripDomain(s); });
  f["urlQueryEscape"] = OfText([](const std::string& s) { return QueryEscape(s); });
  f["humanize"] = OfNumber(Humanize);
  f["humanize1024"] = OfNumber(Humanize1024);
  f["humanizeDuration"] = OfNumber(HumanizeDuration);
  f["humanizePercentage"] = OfNumber(HumanizePercentage);
  f["humanizeTimestamp"] = OfNumber(HumanizeTimestamp);
  f["toTime"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(double v, ToNumber(call.args()[0]));
    return Value(TimeFromSeconds(v));
  };
  f["toDuration"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(double v, ToNumber(call.args()[0]));
    if (!(v > -9e9 && v < 9e9)) return OutOfRange(StrCat(v, " seconds do not fit a duration"));
    return Value(Duration{static_cast<int64_t>(v * 1e9)});
  };
  f["now"] = [context](const Call& call) -> Result<Value> {
    const Clock& clock = context->clock != nullptr ? *context->clock : SystemClock();
    return Value(static_cast<double>(clock.NowMs()) / 1000);
  };
  f["parseDuration"] = [](const Call& call) -> Result<Value> {
    VEDETTE_RETURN_IF_ERROR(CheckArgCount(call, 1, 1));
    VEDETTE_ASSIGN_OR_RETURN(std::string text, StringArg(call, 0));
    VEDETTE_ASSIGN_OR_RETURN(int64_t ms, ParseDuration(text));
    return Value(static_cast<double>(ms) / 1000);
  };
  f["externalURL"] = [context](const Call& call) -> Result<Value> {
    return Value(context->external_url);
  };
  f["pathPrefix"] = [context](const Call& call) -> Result<Value> {
    return Value(PathOf(context->external_url));
  };
  return map;
}

}  // namespace vedette::tmpl
