#pragma once

#include <string>
#include <string_view>

#include "common/base/status.h"

namespace vedette::remote {

// An ExportMetricsServiceRequest in the JSON form of OTLP as the same message in protobuf's wire
// form, so that one reader knows what metrics mean. Names of fields in lowerCamelCase or as in the
// .proto; 64-bit numbers as numbers or in quotes, enums as numbers or names; unknown fields are
// skipped. The text is read as a stream: nothing but the result and one stack of unfinished messages
// is kept. INVALID_ARGUMENT names the place and the field.
Result<std::string> OtlpJsonToProtobuf(std::string_view json);

}  // namespace vedette::remote
