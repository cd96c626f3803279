#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "common/model/labels.h"
#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/index/journal.h"
#include "server/tsdb/index/series_index.h"

// Journals are read from a disk that lies: pieces of the input, each a byte for the kind and one for
// the length, with the right checksums, so that more than they are seen. Whatever comes, reading ends;
// the index then finds what it has, and writes it so that it is read as the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette;
  constexpr uint32_t kMany = 1 << 16;
  std::string_view in(reinterpret_cast<const char*>(data), size);
  tsdb::SeriesIndex index;
  while (in.size() >= 2 && index.size() < kMany) {
    const bool thinned = (in[0] & 1) != 0;
    std::string journal(in.substr(2, static_cast<uint8_t>(in[1])));
    in.remove_prefix(2 + journal.size());
    tsdb::PutFixed(journal, tsdb::ChecksumOfJournal(journal));
    // Gaps are allowed, and take time: not here.
    const auto start = tsdb::SeriesIndex::StartOf(journal);
    if (!start.ok() || start->series > kMany || start->pair > kMany) continue;
    (void)(thinned ? index.RestoreThinned(journal) : index.Restore(journal));
  }
  index.FinishRestore();
  if (index.size() >= kMany) return 0;
  for (uint32_t s = 0; s < index.size(); ++s) {
    const Labels labels = index.LabelsOf(s);  // None of what is no label set.
    if (!labels.empty() && !index.Find(labels).has_value()) std::abort();
  }
  const std::optional<std::string> whole = index.Thinned({0, 1}, {index.size(), UINT32_MAX});
  if (!whole) return 0;
  tsdb::SeriesIndex copy;
  if (!copy.RestoreThinned(*whole).ok()) return 0;  // Over too many numbers.
  copy.FinishRestore();
  if (copy.known() != index.known()) std::abort();
  return 0;
}
