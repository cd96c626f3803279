#pragma once

#include <string>
#include <string_view>

namespace vedette::api {

// The HTTP API described in OpenAPI's own language, as YAML. `version` is "3.1" or "3.2"; empty for
// any other.
std::string OpenApiYaml(std::string_view version, std::string_view server_version);

}  // namespace vedette::api
