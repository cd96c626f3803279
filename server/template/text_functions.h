#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "server/template/value.h"

namespace vedette::tmpl {

// What the functions of Prometheus and of Alertmanager have in common, as plain functions.

std::string Humanize(double v);            // 1234567 -> "1.235M"
std::string Humanize1024(double v);        // 1048576 -> "1Mi"
std::string HumanizeDuration(double v);    // seconds: 135.36 -> "2m 15s"
std::string HumanizePercentage(double v);  // 0.873 -> "87.3%"
std::string HumanizeTimestamp(double v);   // "2020-09-13 12:26:40 +0000 UTC"

std::string TitleCase(std::string_view text);
std::string UpperCase(std::string_view text);
std::string LowerCase(std::string_view text);

// Unanchored, as Go's regexp.MatchString.
Result<bool> RegexFinds(std::string_view pattern, std::string_view text);
// `replacement` knows $1, ${1}, $name, ${name} and $$.
Result<std::string> RegexReplaceAll(std::string_view pattern, std::string_view replacement,
                                    std::string_view text);

std::string StripPort(std::string_view host);
std::string StripDomain(std::string_view host);

// The value as a number: an int, a float, a duration (seconds), or text that reads as a number.
Result<double> ToNumber(const Value& value);

Time TimeFromSeconds(double seconds);
Value LabelsValue(const Labels& labels);  // A map of strings.

// As Go's encoding/json writes it (<, > and & escaped); fields of structs in lower camel case.
std::string ToJson(const Value& value);

}  // namespace vedette::tmpl
