#pragma once

#include <cstdint>
#include <memory>

#include "server/storage/queryable.h"
#include "server/tsdb/query/column_cache.h"
#include "server/tsdb/query/series_reader.h"

namespace vedette::tsdb {

// One view of the storage over a time range. What is asked again and again comes from `cache`.
std::unique_ptr<storage::Querier> MakeQuerier(const ReaderParts& parts, ColumnCache& cache,
                                              int64_t min_t_ms, int64_t max_t_ms);

}  // namespace vedette::tsdb
