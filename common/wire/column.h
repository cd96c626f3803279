#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/wire/bytes.h"

namespace vedette::wire {

// Column says one value per position of a layout, frame after frame, each against the one before.
// Encoder and decoder hold a Column each and guess the next value from the same past: a value that
// was guessed costs a bit of a map or a share of a run, any other the difference to the guess.
//
//   Column sender, receiver;
//   sender.Resize(n); sender.Encode(values, frame);
//   receiver.Resize(n); receiver.Decode(reader); receiver.values();
//
// A value is kept as a whole number of some unit (1, 1024, or a power of ten below one: CPU seconds
// come in hundredths) as long as that gives back its very bits, the idea of ALP (Afroozeh and
// Boncz, 2023); otherwise as bits, XORed with those before as in Gorilla. The guess is either the
// last value or the last value plus the last difference, whichever did better at this position.
//
// All of a double crosses exactly: payloads of NaN, infinities, -0. kAbsent is a hole.
// docs/formats/pull.md has the bytes. Not thread-safe. What stands still costs the receiver nothing,
// a value that moves a few nanoseconds.
class Column {
 public:
  size_t size() const { return cells_.size(); }
  // New positions start as holes. Resize(0) forgets everything.
  void Resize(size_t n);

  // `values` has size() values.
  void Encode(std::span<const double> values, std::string& out);
  // A failure leaves the column unusable.
  Status Decode(ByteReader& in);
  // size() values, as of the last Decode.
  std::span<const double> values() const { return values_; }

  // What a position takes, for whoever counts memory.
  static size_t BytesPerCell() { return sizeof(Cell); }

 private:
  struct Cell {
    uint64_t bits = 0x7ff0000000000003;  // Of the last value; kAbsent.
    int64_t units = 0;                   // The last value that was a whole number of units.
    int64_t step = 0;                    // Difference of the last two.
    uint8_t unit = 0;                    // Index into the units, or kRaw.
    int8_t linear = 0;                   // Above 0: the guess adds `step`.
    uint8_t streak = 0;                  // Encoder only: raw values in a row that had a unit.
  };

  static int64_t Guess(const Cell& cell);
  static uint64_t GuessBits(const Cell& cell);
  static void Learn(Cell& cell, int64_t units, uint64_t bits);
  static void PutCell(Cell& cell, uint64_t bits, std::string& out);
  static bool GetCell(Cell& cell, ByteReader& in);

  std::vector<Cell> cells_;
  // Receiver only. Positions by bits: `moving_` has those whose guess changes by itself.
  std::vector<double> values_;
  std::vector<uint64_t> moving_;
  // Scratch, of Encode and of Decode.
  std::vector<uint32_t> changed_;
  std::vector<uint64_t> map_;
};

// A double on its own, without a past: a power of ten and a varint where that is exact, else bits.
void PutDouble(std::string& out, double v);
double GetDouble(ByteReader& in);

}  // namespace vedette::wire
