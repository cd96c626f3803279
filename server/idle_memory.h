#pragma once

#include <cstdint>

namespace vedette {

// Memory that malloc keeps free in the arenas of its threads, and would keep for good: after a
// large question, or when a memory table was written out, it is tens of megabytes that look like a
// leak.
struct IdleMemory {
  int64_t in_use_bytes = 0;
  int64_t resident_bytes = 0;  // Of this process alone.
  int64_t shared_bytes = 0;    // Resident, too: pages of the program and of its libraries.
  // More than a margin that the next minute will want again.
  bool worth_giving_back() const {
    constexpr int64_t kMarginBytes = 8 << 20;
    return resident_bytes - in_use_bytes > kMarginBytes + in_use_bytes / 8;
  }
};

IdleMemory LookAtMemory();

// Has malloc keep little of what is freed. By default it has eight arenas for each core, and each
// keeps what its busiest moment took; and it learns from every large piece that is freed to take the
// next one from there, too. Before the first thread is started.
void KeepFewArenas();

// Gives it back to the kernel where that is worth it; says whether. Some ms for each 100 MiB: once a
// minute is often enough.
bool GiveBackIdleMemory();

}  // namespace vedette
