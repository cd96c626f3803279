#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::tsdb {

// A set of series ids: a roaring bitmap (Lemire et al.), or one number while it has just one.
// Most label values of a large storage belong to one series; a bitmap for each would cost more than
// the labels themselves.
//
// Thread-compatible.
class Postings {
 public:
  Postings();
  ~Postings();
  Postings(const Postings& other);
  Postings& operator=(const Postings& other);
  Postings(Postings&&) noexcept;
  Postings& operator=(Postings&&) noexcept;

  static Postings Range(uint32_t begin, uint32_t end);  // begin <= id < end.
  static Postings UnionOf(std::span<const Postings* const> sets);
  static Result<Postings> FromBytes(std::string_view bytes);
  std::string ToBytes() const;

  bool Add(uint32_t id);  // False where it was there.
  void AddRange(uint32_t begin, uint32_t end);  // begin <= id < end.
  void Remove(uint32_t id);
  void Pack();  // Runs of numbers take next to nothing afterwards.
  bool Contains(uint32_t id) const;
  uint64_t size() const;
  uint32_t Bound() const;  // One more than the highest; 0 of none.
  bool empty() const { return size() == 0; }

  void IntersectWith(const Postings& other);
  void Subtract(const Postings& other);
  void UnionWith(const Postings& other);
  uint64_t IntersectionSize(const Postings& other) const;

  std::vector<uint32_t> ToVector() const;  // Ascending.

 private:
  struct Bitmap;
  Bitmap& Widen();

  std::unique_ptr<Bitmap> bitmap_;  // Null: none, or only single_.
  uint32_t single_ = 0;
  bool has_single_ = false;
};

}  // namespace vedette::tsdb
