#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vedette {

// gRPC's sixteen codes under gRPC's numbers, so that a Status crosses the wire by a cast.
enum class StatusCode : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// Status is how every fallible call says what went wrong: a code for the program and a
// sentence for the operator. OK is one null pointer, so success costs nothing.
//
//   if (Status s = LoadRules(file); !s.ok()) return s.Annotate("rules/host.yml");
//
// Thread-compatible. Never throws.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string_view message);
  Status(const Status& other);
  Status& operator=(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;

  bool ok() const { return failure_ == nullptr; }
  StatusCode code() const { return ok() ? StatusCode::kOk : failure_->code; }
  std::string_view message() const { return ok() ? std::string_view() : failure_->message; }

  // The same failure with "context: " before its sentence. OK stays OK.
  Status Annotate(std::string_view context) const;
  std::string ToString() const;

 private:
  struct Failure {
    StatusCode code;
    std::string message;
  };
  std::unique_ptr<Failure> failure_;  // Null means OK.
};

// One maker a code, named after it.
Status Cancelled(std::string_view message);
Status InvalidArgument(std::string_view message);
Status DeadlineExceeded(std::string_view message);
Status NotFound(std::string_view message);
Status AlreadyExists(std::string_view message);
Status PermissionDenied(std::string_view message);
Status ResourceExhausted(std::string_view message);
Status FailedPrecondition(std::string_view message);
Status Aborted(std::string_view message);
Status OutOfRange(std::string_view message);
Status Unimplemented(std::string_view message);
Status Internal(std::string_view message);
Status Unavailable(std::string_view message);
Status DataLoss(std::string_view message);
Status Unauthenticated(std::string_view message);

// Result<T> is a T, or the Status that says why there is none. Asking a failed Result for its
// value is a bug in the caller, and ends the process.
//
//   Result<int64_t> timeout_ms = ParseDuration("10s");
//   if (!timeout_ms.ok()) return timeout_ms.status();
//   Use(*timeout_ms);
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}           // NOLINT: implicit on purpose
  Result(Status failure) : status_(std::move(failure)) {  // NOLINT: implicit on purpose
    if (status_.ok()) std::abort();
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  T& operator*() & { return Checked(); }
  const T& operator*() const& { return const_cast<Result*>(this)->Checked(); }
  T&& operator*() && { return std::move(Checked()); }
  T* operator->() { return &Checked(); }
  const T* operator->() const { return &const_cast<Result*>(this)->Checked(); }

 private:
  T& Checked() {
    if (!value_.has_value()) std::abort();
    return *value_;
  }

  Status status_;
  std::optional<T> value_;
};

#define VEDETTE_RETURN_IF_ERROR(expr)                                     \
  if (::vedette::Status vedette_status_ = (expr); vedette_status_.ok()) { \
  } else /* NOLINT */                                                     \
    return vedette_status_

// Binds the value of a Result, or returns its Status from the calling function.
//
//   VEDETTE_ASSIGN_OR_RETURN(int64_t timeout_ms, ParseDuration(text));
#define VEDETTE_ASSIGN_OR_RETURN(lhs, expr) \
  VEDETTE_ASSIGN_OR_RETURN_IMPL_(VEDETTE_CONCAT_(vedette_result_, __LINE__), lhs, expr)
#define VEDETTE_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                   \
  if (!result.ok()) return result.status();               \
  lhs = *std::move(result)
#define VEDETTE_CONCAT_(a, b) VEDETTE_CONCAT_IMPL_(a, b)
#define VEDETTE_CONCAT_IMPL_(a, b) a##b

}  // namespace vedette
