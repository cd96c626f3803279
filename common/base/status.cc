#include "common/base/status.h"

namespace vedette {
namespace {

constexpr const char* kCodeNames[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

}  // namespace

Status::Status(StatusCode code, std::string_view message) {
  if (code == StatusCode::kOk) return;
  failure_ = std::make_unique<Failure>(Failure{code, std::string(message)});
}

Status::Status(const Status& other)
    : failure_(other.ok() ? nullptr : std::make_unique<Failure>(*other.failure_)) {}

Status& Status::operator=(const Status& other) {
  if (this != &other) failure_ = other.ok() ? nullptr : std::make_unique<Failure>(*other.failure_);
  return *this;
}

Status Status::Annotate(std::string_view context) const {
  if (ok()) return *this;
  std::string message(context);
  message += ": ";
  message += failure_->message;
  return Status(failure_->code, message);
}

std::string Status::ToString() const {
  std::string text = kCodeNames[static_cast<int>(code())];
  if (ok()) return text;
  text += ": ";
  text += failure_->message;
  return text;
}

Status Cancelled(std::string_view message) { return {StatusCode::kCancelled, message}; }
Status InvalidArgument(std::string_view message) { return {StatusCode::kInvalidArgument, message}; }
Status DeadlineExceeded(std::string_view message) {
  return {StatusCode::kDeadlineExceeded, message};
}
Status NotFound(std::string_view message) { return {StatusCode::kNotFound, message}; }
Status AlreadyExists(std::string_view message) { return {StatusCode::kAlreadyExists, message}; }
Status PermissionDenied(std::string_view message) {
  return {StatusCode::kPermissionDenied, message};
}
Status ResourceExhausted(std::string_view message) {
  return {StatusCode::kResourceExhausted, message};
}
Status FailedPrecondition(std::string_view message) {
  return {StatusCode::kFailedPrecondition, message};
}
Status Aborted(std::string_view message) { return {StatusCode::kAborted, message}; }
Status OutOfRange(std::string_view message) { return {StatusCode::kOutOfRange, message}; }
Status Unimplemented(std::string_view message) { return {StatusCode::kUnimplemented, message}; }
Status Internal(std::string_view message) { return {StatusCode::kInternal, message}; }
Status Unavailable(std::string_view message) { return {StatusCode::kUnavailable, message}; }
Status DataLoss(std::string_view message) { return {StatusCode::kDataLoss, message}; }
Status Unauthenticated(std::string_view message) { return {StatusCode::kUnauthenticated, message}; }

}  // namespace vedette
