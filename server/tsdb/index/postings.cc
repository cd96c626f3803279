#include "server/tsdb/index/postings.h"

#include <roaring/roaring.hh>
#include <utility>

namespace vedette::tsdb {

struct Postings::Bitmap {
  ::Roaring set;
};

Postings::Postings() = default;
Postings::~Postings() = default;
Postings::Postings(Postings&&) noexcept = default;
Postings& Postings::operator=(Postings&&) noexcept = default;

Postings::Postings(const Postings& other)
    : bitmap_(other.bitmap_ ? std::make_unique<Bitmap>(*other.bitmap_) : nullptr),
      single_(other.single_),
      has_single_(other.has_single_) {}

Postings& Postings::operator=(const Postings& other) {
  *this = Postings(other);
  return *this;
}

Postings::Bitmap& Postings::Widen() {
  if (!bitmap_) {
    bitmap_ = std::make_unique<Bitmap>();
    if (has_single_) bitmap_->set.add(single_);
    has_single_ = false;
  }
  return *bitmap_;
}

Postings Postings::Range(uint32_t begin, uint32_t end) {
  Postings out;
  if (begin < end) out.Widen().set.addRange(begin, end);
  return out;
}

Postings Postings::UnionOf(std::span<const Postings* const> sets) {
  Postings out;
  std::vector<const ::Roaring*> bitmaps;
  std::vector<uint32_t> singles;
  for (const Postings* p : sets) {
    if (p->bitmap_) {
      bitmaps.push_back(&p->bitmap_->set);
    } else if (p->has_single_) {
      singles.push_back(p->single_);
    }
  }
  Bitmap& wide = out.Widen();
  if (!bitmaps.empty()) wide.set = ::Roaring::fastunion(bitmaps.size(), bitmaps.data());
  if (!singles.empty()) wide.set.addMany(singles.size(), singles.data());
  return out;
}

Result<Postings> Postings::FromBytes(std::string_view bytes) {
  roaring_bitmap_t* read = roaring_bitmap_portable_deserialize_safe(bytes.data(), bytes.size());
  if (read == nullptr) return DataLoss("postings: bitmap is damaged");
  Postings out;
  out.Widen().set = ::Roaring(read);  // Takes it over.
  return out;
}

std::string Postings::ToBytes() const {
  ::Roaring copy;
  if (bitmap_) {
    copy = bitmap_->set;
  } else if (has_single_) {
    copy.add(single_);
  }
  copy.runOptimize();
  std::string out(copy.getSizeInBytes(), '\0');
  copy.write(out.data());
  return out;
}

bool Postings::Add(uint32_t id) {
  if (bitmap_) return bitmap_->set.addChecked(id);
  if (has_single_) {
    if (single_ == id) return false;
    Widen().set.add(id);
    return true;
  }
  single_ = id;
  has_single_ = true;
  return true;
}

void Postings::AddRange(uint32_t begin, uint32_t end) {
  // A range looks its place up once, and costs as much as that many single numbers.
  constexpr uint32_t kLeast = 16;
  if (end - begin < kLeast) {
    for (uint32_t id = begin; id < end; ++id) Add(id);
  } else {
    Widen().set.addRange(begin, end);
  }
}

void Postings::Remove(uint32_t id) {
  if (bitmap_) {
    bitmap_->set.remove(id);
  } else if (has_single_ && single_ == id) {
    has_single_ = false;
  }
}

void Postings::Pack() {
  if (!bitmap_) return;
  bitmap_->set.runOptimize();
  bitmap_->set.shrinkToFit();
}

bool Postings::Contains(uint32_t id) const {
  return bitmap_ ? bitmap_->set.contains(id) : has_single_ && single_ == id;
}

uint64_t Postings::size() const { return bitmap_ ? bitmap_->set.cardinality() : has_single_; }

uint32_t Postings::Bound() const {
  if (size() == 0) return 0;
  return (bitmap_ ? bitmap_->set.maximum() : single_) + 1;
}

void Postings::IntersectWith(const Postings& other) {
  if (bitmap_ && other.bitmap_) {
    bitmap_->set &= other.bitmap_->set;
    return;
  }
  if (!bitmap_) {
    has_single_ = has_single_ && other.Contains(single_);
    return;
  }
  const bool both = other.has_single_ && bitmap_->set.contains(other.single_);
  bitmap_.reset();
  has_single_ = both;
  single_ = other.single_;
}

void Postings::Subtract(const Postings& other) {
  if (bitmap_ && other.bitmap_) {
    bitmap_->set -= other.bitmap_->set;
  } else if (!bitmap_) {
    has_single_ = has_single_ && !other.Contains(single_);
  } else if (other.has_single_) {
    bitmap_->set.remove(other.single_);
  }
}

void Postings::UnionWith(const Postings& other) {
  if (other.bitmap_) {
    Widen().set |= other.bitmap_->set;
  } else if (other.has_single_) {
    Add(other.single_);
  }
}

uint64_t Postings::IntersectionSize(const Postings& other) const {
  if (bitmap_ && other.bitmap_) return bitmap_->set.and_cardinality(other.bitmap_->set);
  if (!bitmap_) return has_single_ && other.Contains(single_);
  return other.has_single_ && Contains(other.single_);
}

std::vector<uint32_t> Postings::ToVector() const {
  std::vector<uint32_t> out(size());
  if (bitmap_) {
    bitmap_->set.toUint32Array(out.data());
  } else if (has_single_) {
    out[0] = single_;
  }
  return out;
}

}  // namespace vedette::tsdb
