#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/status.h"

namespace vedette::tmpl {

class Value;
struct TypeInfo;

struct Nil {
  bool operator==(const Nil&) const = default;
};

// A moment, and the zone it is told in.
struct Time {
  int64_t unix_ms = 0;
  int32_t nanos_below_ms = 0;  // 0 .. 999999
  int32_t offset_seconds = 0;
  std::string zone = "UTC";

  bool operator==(const Time& o) const {
    return unix_ms == o.unix_ms && nanos_below_ms == o.nanos_below_ms;
  }
};

struct Duration {
  int64_t ns = 0;
  bool operator==(const Duration&) const = default;
};

using List = std::vector<Value>;
using Map =
    std::map<std::string, Value, std::less<>>;  // Go's templates walk maps in order of keys.

// Value is whatever a template can hold. Lists and maps are shared and never changed, so copying a
// Value is cheap. Thread-compatible.
class Value {
 public:
  // In the order of the variant.
  enum class Kind : uint8_t { kNil, kBool, kInt, kFloat, kString, kList, kMap, kTime, kDuration };

  Value() = default;
  Value(bool v) : v_(v) {}                       // NOLINT: implicit
  Value(int v) : v_(static_cast<int64_t>(v)) {}  // NOLINT: implicit
  Value(int64_t v) : v_(v) {}                    // NOLINT: implicit
  Value(double v) : v_(v) {}                     // NOLINT: implicit
  Value(std::string v) : v_(std::make_shared<const std::string>(std::move(v))) {}  // NOLINT
  Value(std::string_view v) : Value(std::string(v)) {}  // NOLINT: implicit
  Value(const char* v) : Value(std::string(v)) {}       // NOLINT: implicit
  Value(Time v) : v_(std::move(v)) {}                   // NOLINT: implicit
  Value(Duration v) : v_(v) {}                          // NOLINT: implicit
  Value(List v, const TypeInfo* type = nullptr)         // NOLINT: implicit
      : v_(std::make_shared<const List>(std::move(v))), type_(type) {}
  Value(Map v, const TypeInfo* type = nullptr)  // NOLINT: implicit
      : v_(std::make_shared<const Map>(std::move(v))), type_(type) {}

  Kind kind() const { return static_cast<Kind>(v_.index()); }
  bool is(Kind kind) const { return this->kind() == kind; }
  const TypeInfo* type() const { return type_; }

  // Each requires its own kind.
  bool boolean() const { return std::get<bool>(v_); }
  int64_t integer() const { return std::get<int64_t>(v_); }
  double real() const { return std::get<double>(v_); }
  const std::string& string() const { return *std::get<std::shared_ptr<const std::string>>(v_); }
  const List& list() const { return *std::get<std::shared_ptr<const List>>(v_); }
  const Map& map() const { return *std::get<std::shared_ptr<const Map>>(v_); }
  const Time& time() const { return std::get<Time>(v_); }
  const Duration& duration() const { return std::get<Duration>(v_); }

  // Go's idea of truth: false, 0, "", an empty list or map and nil are not true.
  bool truth() const;

  // The kind by Go's name ("int", "float64", "map[string]string"), for messages and %T.
  std::string_view type_name() const;

 private:
  std::variant<Nil, bool, int64_t, double, std::shared_ptr<const std::string>,
               std::shared_ptr<const List>, std::shared_ptr<const Map>, Time, Duration>
      v_;
  const TypeInfo* type_ = nullptr;
};

using Method = std::function<Result<Value>(const Value& self, std::span<const Value> args)>;

// What a list or map is beside its contents: its name, what an absent field means, and methods
// (".Alerts.Firing"). Lives as long as the process (a static const).
struct TypeInfo {
  enum class Absent : uint8_t {
    kNoValue,      // A map of anything: prints "<no value>".
    kEmptyString,  // A map of strings.
    kError,        // A struct: a field that is not there is a mistake in the template.
  };

  std::string_view name;
  Absent absent = Absent::kNoValue;
  std::map<std::string_view, Method> methods;
};

// map[string]string, as labels are.
const TypeInfo& StringMapType();

}  // namespace vedette::tmpl
