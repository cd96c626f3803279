#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/status.h"
#include "server/tsdb/chunk/bytes.h"

// What the files of the index share. Inside this folder only.
namespace vedette::tsdb {

// Lists of series are kept in blocks of so many numbers.
inline constexpr size_t kListBlock = 1 << 16;
inline constexpr size_t kFirstSlots = 1 << 10;  // Of a hash table.

// Where list_of_ says that a list is.
template <typename Lists>
const uint32_t* ListAt(const Lists& lists, uint32_t behind) {
  const uint32_t at = behind - 1;
  return &lists[at / kListBlock][at % kListBlock];
}

inline uint32_t ChecksumOfJournal(std::string_view body) {
  return static_cast<uint32_t>(XXH3_64bits(body.data(), body.size()));
}

// What of a journal its checksum is of.
inline Result<std::string_view> BodyOfJournal(std::string_view journal) {
  if (journal.size() < 4) return DataLoss("series journal: too short");
  ByteReader tail(journal.substr(journal.size() - 4));
  journal.remove_suffix(4);
  if (tail.Fixed<uint32_t>() != ChecksumOfJournal(journal)) {
    return DataLoss("series journal: checksum differs");
  }
  return journal;
}

}  // namespace vedette::tsdb
