#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace vedette::tsdb {

// Values by numbers that are given one after the other and never again, of which long runs are given
// up in time: a block of numbers none of which has a value takes eight bytes. One without a value
// reads as T(). Thread-compatible; a value stays where it is.
template <typename T>
class Sparse {
 public:
  // The next number gets this value.
  T& Push(T value) {
    T& place = At(size_++);
    place = std::move(value);
    return place;
  }
  // The next numbers, up to and not with `size`, get none.
  void Skip(uint32_t size) {
    if (size > size_) size_ = size;
  }
  // Makes room for a number's value, below size().
  T& At(uint32_t number) {
    const size_t block = number / kBlock;
    if (block >= blocks_.size()) blocks_.resize(block + 1);
    if (!blocks_[block]) {
      blocks_[block] = std::make_unique<Block>();
      ++there_;
    }
    return (*blocks_[block])[number % kBlock];
  }
  const T& operator[](uint32_t number) const {
    static const T kNone{};
    const size_t block = number / kBlock;
    if (block >= blocks_.size() || !blocks_[block]) return kNone;
    return (*blocks_[block])[number % kBlock];
  }
  // One more than the highest number that was given.
  uint32_t size() const { return size_; }
  // Of the values and of the way to them; not of what the values own.
  size_t bytes() const { return there_ * sizeof(Block) + blocks_.capacity() * sizeof(blocks_[0]); }

 private:
  static constexpr size_t kBlock = 256;
  using Block = std::array<T, kBlock>;
  std::vector<std::unique_ptr<Block>> blocks_;
  size_t there_ = 0;
  uint32_t size_ = 0;
};

}  // namespace vedette::tsdb
