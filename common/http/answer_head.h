#pragma once

#include <string>
#include <string_view>

#include "common/compress/compress.h"
#include "common/http/request.h"

// What the first lines of an answer say, for Server.
namespace vedette::http {

// Below it the header of the compressed form eats what is saved.
inline constexpr size_t kMinCompressBytes = 128;

bool CompressibleType(std::string_view content_type);
// What an answer to `request` is best sent in.
compress::Encoding ChooseEncoding(const Request& request);
bool HasNoBody(int status);

// Status line and headers, with Date and Connection; no Content-Length, and not the empty line.
std::string Head(const Response& response, bool keep_alive);

}  // namespace vedette::http
