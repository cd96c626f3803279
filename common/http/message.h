#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"

// What is said over HTTP, on both sides: header fields and parameters.
namespace vedette::http {

// ASCII only, as field names are.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// Header fields in the order they came; names compare without case.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  std::string_view Get(std::string_view name) const;  // The first, or "".
  bool Has(std::string_view name) const;
  void Set(std::string_view name, std::string_view value);  // In place of all of that name.
  void Add(std::string_view name, std::string_view value);
  void Remove(std::string_view name);

  std::vector<Field>::const_iterator begin() const { return fields_.begin(); }
  std::vector<Field>::const_iterator end() const { return fields_.end(); }
  bool empty() const { return fields_.empty(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<Field> fields_;
};

// Query or form parameters in order; a name may come many times (match[]=a&match[]=b).
class Params {
 public:
  using Pair = std::pair<std::string, std::string>;

  std::string_view Get(std::string_view name) const;  // The first, or "".
  bool Has(std::string_view name) const;
  std::vector<std::string> All(std::string_view name) const;
  void Add(std::string_view name, std::string_view value);

  std::vector<Pair>::const_iterator begin() const { return pairs_.begin(); }
  std::vector<Pair>::const_iterator end() const { return pairs_.end(); }
  bool empty() const { return pairs_.empty(); }
  size_t size() const { return pairs_.size(); }

  // name=value&..., escaped.
  std::string Encode() const;

 private:
  std::vector<Pair> pairs_;
};

// More parameters than this in one request are refused.
inline constexpr size_t kMaxParams = 10'000;

// Appends the pairs of an application/x-www-form-urlencoded text. A half escape ("%4") or more than
// kMaxParams pairs is INVALID_ARGUMENT.
Status ParseForm(std::string_view text, Params& out);

// %41 to A; with `plus_is_space`, + to a space (forms), otherwise it stays (paths).
Result<std::string> UrlDecode(std::string_view text, bool plus_is_space);
// Everything but A-Z a-z 0-9 - . _ ~ as %XX.
std::string UrlEncode(std::string_view text);

// The q-value (0 to 1000) that an Accept-Encoding style header gives to `token`: its own entry,
// else that of "*", else `otherwise`.
int QualityOf(std::string_view header, std::string_view token, int otherwise);

std::string_view ReasonPhrase(int status);

}  // namespace vedette::http
