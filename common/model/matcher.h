#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette {

// Regex is an RE2 expression anchored at both ends, as Prometheus anchors every regular expression:
// dot matches newline, matching time is linear in the text. Cheap to copy; thread-safe.
class Regex {
 public:
  static Result<Regex> Compile(std::string_view pattern);

  bool Matches(std::string_view text) const;
  // What every match begins with; "" where nothing is known.
  const std::string& prefix() const;
  // When the expression is nothing but an alternation of plain strings ("a|b|c", "abc"), those
  // strings; otherwise empty. An index can look them up instead of matching every value.
  const std::vector<std::string>& literals() const;
  // The pattern is ".*", or ".+".
  bool matches_anything() const;
  bool matches_non_empty() const;
  const std::string& pattern() const;

 private:
  struct Compiled;
  explicit Regex(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}
  std::shared_ptr<const Compiled> compiled_;
};

// One condition on one label: name = value, !=, =~, !~. A label that is not there has the value "".
class Matcher {
 public:
  enum class Op : uint8_t { kEqual, kNotEqual, kRegex, kNotRegex };

  static Result<Matcher> Make(Op op, std::string_view name, std::string_view value);
  static Matcher Equal(std::string_view name, std::string_view value);

  Op op() const { return op_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }
  const Regex* regex() const { return regex_.get(); }  // Null for = and !=.

  bool Matches(std::string_view value) const;
  bool MatchesEmpty() const { return Matches(""); }
  // job=~"a|b", names quoted where they must be.
  std::string ToString() const;

  bool operator==(const Matcher& other) const {
    return op_ == other.op_ && name_ == other.name_ && value_ == other.value_;
  }

 private:
  Matcher(Op op, std::string_view name, std::string_view value)
      : op_(op), name_(name), value_(value) {}

  Op op_;
  std::string name_;
  std::string value_;
  std::shared_ptr<const Regex> regex_;
};

}  // namespace vedette
