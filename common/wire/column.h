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
  static size_t BytesPerCell() { return sizeof(Cell) + sizeof(double); }

 private:
  // What is known of a position beside its last value, in two words: a server has as many as it has
  // series. Units and steps are whole numbers below 2^55.
  class Cell {
   public:
    // The last value that was a whole number of units, the difference of the last two of them; the
    // index into the units, or kRaw.
    int64_t units() const { return units_ >> 8; }
    int64_t step() const { return step_ >> 8; }
    uint8_t unit() const { return static_cast<uint8_t>(step_ & 15); }
    // Above 0: the guess adds the step.
    int linear() const { return static_cast<int8_t>(units_ & 0xff); }
    // Encoder only: raw values in a row that had a unit.
    uint8_t streak() const { return static_cast<uint8_t>(step_ >> 4 & 15); }

    void StartOver(int64_t units, uint8_t unit) {
      units_ = units << 8;
      step_ = unit;
    }
    void SetUnits(int64_t units, int linear) {
      units_ = units << 8 | static_cast<uint8_t>(linear);
    }
    void SetStep(int64_t step) { step_ = step << 8 | (step_ & 0xff); }
    void SetStreak(int streak) { step_ = (step_ & ~int64_t{0xf0}) | (streak & 15) << 4; }

   private:
    int64_t units_ = 0;  // Above eight bits of linear.
    int64_t step_ = 0;   // Above four bits of streak and four of unit.
  };

  static int64_t Guess(const Cell& cell);
  static uint64_t GuessBits(const Cell& cell, uint64_t last);
  static void Learn(Cell& cell, int64_t units);
  // `last`: the bits of the value before; they become those of this one.
  static void PutCell(Cell& cell, uint64_t& last, uint64_t bits, std::string& out);
  static bool GetCell(Cell& cell, uint64_t& last, ByteReader& in);

  std::vector<Cell> cells_;
  std::vector<double> values_;  // The last ones.
  // Receiver only. Positions by bits: those whose guess changes by itself.
  std::vector<uint64_t> moving_;
  // Scratch, of Encode and of Decode.
  std::vector<uint32_t> changed_;
  std::vector<uint64_t> map_;
};

// A double on its own, without a past: a power of ten and a varint where that is exact, else bits.
void PutDouble(std::string& out, double v);
double GetDouble(ByteReader& in);

}  // namespace vedette::wire
