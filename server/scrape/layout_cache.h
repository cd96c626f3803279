#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/exposition/negotiate.h"
#include "common/exposition/text_parser.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "server/scrape/job.h"
#include "server/scrape/key_table.h"
#include "server/scrape/shared_metadata.h"
#include "server/scrape/start_lines.h"
#include "server/scrape/timeline.h"

namespace vedette::scrape {

// LayoutCache turns the bodies of one target into columns of its Timeline. A target says the same
// lines in the same order every time, so line i is compared with what line i was before (one
// memcmp), and its series is known without a look at its labels. Only a line that differs is looked
// up by its bytes, and only one never seen is parsed, relabelled and numbered. When lines come or
// go the cache falls into step again at the next line it knows.
//
//   timeline.Begin();
//   Status s = cache.Ingest(body, protocol, target.labels, job, timeline);
//   if (!s.ok()) timeline.Abandon();
//
// A steady scrape costs a hash, a number and a store per line, and allocates nothing. Memory: some
// 35 bytes a line; not its text.
//
// Not thread-safe.
class LayoutCache {
 public:
  struct Counts {
    uint64_t scraped = 0;     // Samples in the body.
    uint64_t kept = 0;        // After metric relabelling.
    uint64_t duplicates = 0;  // Series that were given twice; the first one stays.
    uint64_t in_step = 0;     // Lines that were known by their place.
  };

  // Called for a family whose metadata is new or changed.
  using MetadataFn = std::function<void(const std::string& name, const Metadata& metadata)>;
  explicit LayoutCache(MetadataFn on_metadata) : on_metadata_(std::move(on_metadata)) {}

  // Sets the body's samples in `timeline` (between its Begin and Commit). On an error the timeline
  // holds half a scrape: abandon it. counts() is right either way.
  Status Ingest(std::string_view body, exposition::Protocol protocol, const Labels& target,
                const Job& job, Timeline& timeline);

  const Counts& counts() const { return counts_; }

  // Everything is parsed and relabelled anew, because rules or the target's labels changed.
  void Forget();

  // Families of the bodies since the last Forget(), by name. Published whole: a reader may keep it.
  using MetadataMap = scrape::MetadataMap;
  std::shared_ptr<const MetadataMap> metadata() const { return metadata_; }

 private:
  // What a key stands for: a number of the timeline, or one of these.
  enum Special : uint32_t {
    kUnresolved = 0xffffffff,  // Seen, but its timeline has started over since.
    kDropped = 0xfffffffe,
    kComment = 0xfffffffd,
    kFirstType = 0xfffffff0,  // A TYPE line: kFirstType + type.
    kCreated = 0xffffffef,    // Says since when others count, and is no series itself.
    kFirstSpecial = kCreated,
  };

  struct Context;
  Status IngestText(std::string_view body, exposition::TextDialect dialect, Context& context);
  Status IngestProtobuf(std::string_view body, Context& context);
  // Text whose classic histograms become native ones: not line by line, they have several.
  Status IngestConverted(std::string_view body, exposition::TextDialect dialect, Context& context);
  Status IngestFamily(MetricFamily& family, uint32_t& line, Context& context);
  void IndexLines();
  uint32_t KeyOf(std::string_view key);
  void NoteMetadata(const exposition::TextParser& parser, exposition::TextParser::Event event,
                    exposition::TextDialect dialect, Context& context);
  void FlushMetadata(Context& context);
  Status ResolveText(uint32_t key, std::string_view text, Context& context);
  Status Resolve(uint32_t key, const exposition::SampleLine& line, Context& context);
  Status ResolveLabels(uint32_t key, const Labels& exposed,
                       std::span<const std::string> empty_names, Context& context);
  // `text` is the line up to its value.
  Status Record(uint32_t key, std::string_view text, const exposition::SampleLine& line,
                Context& context);

  MetadataFn on_metadata_;
  KeyTable keys_;
  std::vector<uint32_t> meanings_;  // By key.
  // By key: its line in the last body, KeyTable::kNone if none. Empty while nothing is looked for.
  std::vector<uint32_t> line_of_;
  std::vector<uint32_t> lines_;     // Keys of the last good body, line by line.
  std::vector<uint32_t> next_lines_;
  uint64_t generation_ = 0;  // Of the timeline's numbers in meanings_.
  exposition::Protocol protocol_ = exposition::Protocol::kText0_0_4;
  std::shared_ptr<const MetadataMap> metadata_ = std::make_shared<const MetadataMap>();
  std::unique_ptr<StartLines> starts_;  // Null unless the job wants start timestamps.
  Counts counts_;
};

}  // namespace vedette::scrape
