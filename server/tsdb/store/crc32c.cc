// The checksum of RocksDB's log, by the processor's own instruction.
//
// Debian builds RocksDB for any x86-64, so that its CRC-32C is made from tables, at 1.1 GB/s: a byte
// of every commit costs a nanosecond, and half of what reading the log costs at a start is that. A
// program's own function of this name takes the place of the library's, for the library as well. Where
// the processor has no such instruction it is made from a table here too, which is as slow.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)

#include <nmmintrin.h>

namespace rocksdb::crc32c {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, bits reversed.

constexpr std::array<uint32_t, 256> kTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
    table[i] = crc;
  }
  return table;
}();

uint32_t ByTable(uint32_t crc, const char* data, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    crc = kTable[(crc ^ static_cast<uint8_t>(data[i])) & 0xff] ^ crc >> 8;
  }
  return crc;
}

__attribute__((target("sse4.2"))) uint32_t ByInstruction(uint32_t crc, const char* data, size_t n) {
  uint64_t wide = crc;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t word;
    std::memcpy(&word, data + i, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; i < n; ++i) crc = _mm_crc32_u8(crc, static_cast<uint8_t>(data[i]));
  return crc;
}

}  // namespace

// As the library declares it: goes on from `before`, the checksum of what came before; 0 of nothing.
uint32_t Extend(uint32_t before, const char* data, size_t n) {
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  const uint32_t crc = ~before;
  return ~(has_instruction ? ByInstruction(crc, data, n) : ByTable(crc, data, n));
}

}  // namespace rocksdb::crc32c

#endif
