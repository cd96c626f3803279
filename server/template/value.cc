#include "server/template/value.h"

namespace vedette::tmpl {

bool Value::truth() const {
  switch (kind()) {
    case Kind::kNil:
      return false;
    case Kind::kBool:
      return boolean();
    case Kind::kInt:
      return integer() != 0;
    case Kind::kFloat:
      return real() != 0;
    case Kind::kString:
      return !string().empty();
    case Kind::kList:
      return !list().empty();
    case Kind::kMap:
      // A struct is always true, a map when it is not empty.
      return (type_ != nullptr && type_->absent == TypeInfo::Absent::kError) || !map().empty();
    case Kind::kTime:
      return true;
    case Kind::kDuration:
      return duration().ns != 0;
  }
  return false;
}

std::string_view Value::type_name() const {
  if (type_ != nullptr) return type_->name;
  switch (kind()) {
    case Kind::kNil:
      return "<nil>";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float64";
    case Kind::kString:
      return "string";
    case Kind::kList:
      return "[]interface {}";
    case Kind::kMap:
      return "map[string]interface {}";
    case Kind::kTime:
      return "time.Time";
    case Kind::kDuration:
      return "time.Duration";
  }
  return "";
}

const TypeInfo& StringMapType() {
  static const TypeInfo kType{"map[string]string", TypeInfo::Absent::kEmptyString, {}};
  return kType;
}

}  // namespace vedette::tmpl
