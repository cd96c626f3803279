#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <array>
#include <memory>

#include "server/tsdb/store/database.h"
#include "server/tsdb/store/store.h"

// Inside this folder only: the headers of RocksDB go no further.
namespace vedette::tsdb {

// By Family, as RocksDB knows them.
inline constexpr std::array<const char*, kFamilies> kFamilyNames = {
    "meta", "series", "head", "chunks", "instants", "histograms", "rollups"};

// How RocksDB is to keep the directory: its options, and those of each family. `env` is null for the
// machine's own.
DatabaseSetup MakeSetup(const StoreOptions& options, const std::shared_ptr<rocksdb::Cache>& cache,
                        const std::shared_ptr<rocksdb::EventListener>& listener,
                        rocksdb::Env* env);

}  // namespace vedette::tsdb
