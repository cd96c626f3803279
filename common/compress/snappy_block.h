#pragma once

#include <span>
#include <string_view>

namespace vedette::compress {

// Decodes the elements of a snappy block, which is what follows the length in front: literals, and
// copies of what has been decoded. `out` is as long as that length says. False where the elements are
// damaged, or come to another length; `out` then holds anything.
//
// Half the time of the library for the many short copies of a remote write: they are fixed moves here,
// and calls of memcpy in a library that is built for any x86.
bool DecodeSnappyElements(std::string_view elements, std::span<char> out);

}  // namespace vedette::compress
