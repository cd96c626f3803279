#include "common/compress/snappy_block.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

// https://github.com/google/snappy/blob/main/format_description.txt
namespace vedette::compress {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are loaded as they lie");

// The longest literal whose tag says its length; the tags above it say how many bytes do.
constexpr size_t kMaxShortLiteral = 60;
// What an element makes, but for the longer literals. Where there is room for it, pieces of a fixed
// length are moved, a little more than is needed.
constexpr size_t kMove = 64;
constexpr size_t kPiece = 16;

void MovePiece(const char* from, char* to) {
  char piece[kPiece];
  std::memcpy(piece, from, kPiece);
  std::memcpy(to, piece, kPiece);
}

// n <= kMove. Each piece is read after the one before was written: a copy may go on into what it
// makes, if only it begins a piece back or more.
void MovePieces(const char* from, char* to, size_t n) {
  MovePiece(from, to);
  if (n <= kPiece) return;
  MovePiece(from + kPiece, to + kPiece);
  if (n <= 2 * kPiece) return;
  MovePiece(from + 2 * kPiece, to + 2 * kPiece);
  MovePiece(from + 3 * kPiece, to + 3 * kPiece);
}

size_t Load(const char* at, size_t bytes) {
  uint32_t value = 0;
  std::memcpy(&value, at, bytes);
  return value;
}

}  // namespace

bool DecodeSnappyElements(std::string_view elements, std::span<char> out) {
  const char* in = elements.data();
  const char* const in_end = in + elements.size();
  char* const begin = out.data();
  char* to = begin;
  char* const end = begin + out.size();
  while (in < in_end) {
    const uint8_t tag = static_cast<uint8_t>(*in++);
    const size_t in_left = static_cast<size_t>(in_end - in);
    const size_t room = static_cast<size_t>(end - to);
    size_t n = static_cast<size_t>(tag >> 2) + 1;
    if ((tag & 3) == 0) {
      if (n <= kMaxShortLiteral && in_left >= kMove && room >= kMove) {
        MovePieces(in, to, n);
      } else {
        if (n > kMaxShortLiteral) {
          const size_t bytes = n - kMaxShortLiteral;
          if (in_left < bytes) return false;
          n = Load(in, bytes) + 1;
          in += bytes;
        }
        if (n > static_cast<size_t>(in_end - in) || n > room) return false;
        std::memcpy(to, in, n);
      }
      in += n;
      to += n;
      continue;
    }
    size_t back;
    if ((tag & 3) == 2) {
      if (in_left < 2) return false;
      back = Load(in, 2);
      in += 2;
    } else if ((tag & 3) == 1) {
      if (in_left < 1) return false;
      n = static_cast<size_t>(tag >> 2 & 7) + 4;
      back = static_cast<size_t>(tag >> 5) << 8 | static_cast<uint8_t>(*in++);
    } else {
      if (in_left < 4) return false;
      back = Load(in, 4);
      in += 4;
    }
    if (back == 0 || back > static_cast<size_t>(to - begin) || n > room) return false;
    const char* from = to - back;
    if (back >= kPiece && room >= kMove) {
      MovePieces(from, to, n);
      to += n;
    } else {
      // What is made repeats what is before it.
      for (const char* const stop = to + n; to < stop;) *to++ = *from++;
    }
  }
  return to == end;
}

}  // namespace vedette::compress
