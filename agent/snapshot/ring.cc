#include "agent/snapshot/ring.h"

#include <algorithm>
#include <utility>

#include "common/wire/pull_snapshots.h"

namespace vedette::agent {

Ring::Ring(size_t max_bytes, RingFiles* files) : max_bytes_(max_bytes), files_(files) {
  if (files_ != nullptr) Load();
}

void Ring::Load() {
  MutexLock lock(mu_);
  for (RingFiles::Segment& kept : files_->Load()) {
    next_segment_ = kept.number + 1;
    Segment segment{.number = kept.number};
    wire::PullSnapshots frames;
    for (RingFiles::Entry& e : kept.entries) {
      // A frame that cannot be read takes those with it that build on it.
      if (!frames.Next(e.frame).ok()) break;
      loaded_sequence_ = std::max(loaded_sequence_, e.sequence);
      segment.bytes += e.frame.size() + sizeof(Entry);
      segment.waiting += e.done ? 0 : 1;
      segment.entries.push_back({e.sequence, e.done, std::move(e.frame)});
    }
    if (segment.waiting == 0) {
      files_->Remove(kept.number);
      continue;
    }
    bytes_ += segment.bytes;
    segments_.push_back(std::move(segment));
  }
  while (bytes_ > max_bytes_ && !segments_.empty()) DropFront();
}

void Ring::NoteInterval(int64_t interval_ms) {
  if (files_ == nullptr) return;
  MutexLock lock(mu_);
  files_->SetInterval(interval_ms);
}

uint64_t Ring::file_failures() const {
  if (files_ == nullptr) return 0;
  MutexLock lock(mu_);
  return files_->failures();
}

void Ring::Push(const Snapshot& snapshot) {
  MutexLock lock(mu_);
  if (segments_.empty() || encoder_ == nullptr ||
      segments_.back().entries.size() >= kSegmentFrames) {
    // A segment that is full and that everybody has goes at once.
    while (!segments_.empty() && segments_.front().waiting == 0) DropFront();
    segments_.push_back({.number = next_segment_++});
    encoder_ = std::make_unique<wire::PullEncoder>();
  }
  Segment& segment = segments_.back();
  segment.entries.push_back({snapshot.sequence, false, encoder_->Encode(snapshot)});
  if (files_ != nullptr) {
    files_->Add(segment.number, snapshot.sequence, segment.entries.back().frame);
  }
  const size_t n = segment.entries.back().frame.size() + sizeof(Entry);
  segment.bytes += n;
  ++segment.waiting;
  bytes_ += n;
  while (bytes_ > max_bytes_ && !segments_.empty()) DropFront();
}

void Ring::DropFront() {
  if (files_ != nullptr) files_->Remove(segments_.front().number);
  dropped_ += segments_.front().waiting;
  bytes_ -= segments_.front().bytes;
  segments_.pop_front();
  if (segments_.empty()) encoder_ = nullptr;
}

std::vector<Snapshot> Ring::Oldest(size_t max_count, std::span<const uint64_t> except) const {
  // Copied under the lock, decoded outside: a long backlog must not hold up a scrape.
  std::vector<std::vector<Entry>> wanted;
  {
    MutexLock lock(mu_);
    size_t found = 0;
    for (const Segment& segment : segments_) {
      if (found >= max_count) break;
      if (segment.waiting == 0) continue;
      found += segment.waiting;
      wanted.push_back(segment.entries);
    }
  }
  std::vector<Snapshot> out;
  for (const auto& entries : wanted) {
    wire::PullSnapshots frames;
    for (const Entry& e : entries) {
      if (out.size() >= max_count) return out;
      auto snapshot = frames.Next(e.frame);
      if (!snapshot.ok()) break;  // Our own frames, from our own memory.
      if (!e.done && std::ranges::find(except, e.sequence) == except.end()) {
        out.push_back(*std::move(snapshot));
      }
    }
  }
  return out;
}

void Ring::Done(std::span<const uint64_t> sequences) {
  MutexLock lock(mu_);
  std::vector<uint64_t> found;
  for (Segment& segment : segments_) {
    found.clear();
    for (Entry& e : segment.entries) {
      if (!e.done && std::ranges::find(sequences, e.sequence) != sequences.end()) {
        e.done = true;
        --segment.waiting;
        found.push_back(e.sequence);
      }
    }
    if (files_ != nullptr && !found.empty()) files_->Done(segment.number, found);
  }
  // The last segment stays: its encoder goes on from it.
  while (segments_.size() > 1 && segments_.front().waiting == 0) DropFront();
}

size_t Ring::waiting(std::span<const uint64_t> except) const {
  MutexLock lock(mu_);
  size_t n = 0;
  for (const Segment& segment : segments_) {
    for (const Entry& e : segment.entries) {
      if (!e.done && std::ranges::find(except, e.sequence) == except.end()) ++n;
    }
  }
  return n;
}

size_t Ring::bytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

uint64_t Ring::dropped() const {
  MutexLock lock(mu_);
  return dropped_;
}

}  // namespace vedette::agent
