#include "server/idle_memory.h"

#include <malloc.h>
#include <unistd.h>

#include <fstream>

namespace vedette {

IdleMemory LookAtMemory() {
  IdleMemory m;
  const struct mallinfo2 heap = mallinfo2();
  m.in_use_bytes = static_cast<int64_t>(heap.uordblks + heap.hblkhd);
  // size resident shared ...: in pages.
  std::ifstream in("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  int64_t shared = 0;
  if (in >> size >> resident >> shared) {
    m.resident_bytes = (resident - shared) * sysconf(_SC_PAGESIZE);
  }
  return m;
}

bool GiveBackIdleMemory() {
  if (!LookAtMemory().worth_giving_back()) return false;
  malloc_trim(0);
  return true;
}

}  // namespace vedette
