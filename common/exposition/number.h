#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vedette::exposition {

// A sample value as Go's strconv.ParseFloat reads it, less hexadecimal and underscores, which
// Prometheus refuses: decimal and exponent forms, a sign, Inf, Infinity and NaN in any case. A
// number too large for a double is refused; one too small is 0. Every NaN becomes the normal one.
// Short decimals, which is nearly all of them, cost a few nanoseconds.
std::optional<double> ParseValue(std::string_view text);

// The same of the text from `p` up to the first blank or control byte before `end`; `p` is there
// then. Where 16 bytes can be read the digits are looked at all at once, not one by one. Nothing
// found: `p` has not moved.
std::optional<double> ParseValueAt(const char*& p, const char* end);

// A whole number of milliseconds, as text format timestamps are.
std::optional<int64_t> ParseInteger(std::string_view text);

// Writes what Go's 'g' format with the fewest digits writes: "100000", "1e+06", "1.5e-07", "+Inf".
// Exporters written in Go and all their golden files look like that.
void AppendValue(std::string& out, double value);

// The same, but a whole number keeps its point: "1.0", "+Inf". The form of le and quantile in
// OpenMetrics, and the one Prometheus 3 normalises both labels to.
void AppendCanonicalFloat(std::string& out, double value);
std::string CanonicalFloat(double value);

}  // namespace vedette::exposition
