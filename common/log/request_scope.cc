#include "common/log/request_scope.h"

namespace vedette::log {
namespace {

thread_local const RequestScope* t_scope = nullptr;

}  // namespace

RequestScope::RequestScope() : outer_(t_scope) { t_scope = this; }
RequestScope::~RequestScope() { t_scope = outer_; }

std::string_view RequestScope::Current() {
  return t_scope == nullptr ? std::string_view() : t_scope->id_;
}

}  // namespace vedette::log
