#pragma once

#include <rocksdb/db.h>

#include <string>

// Inside this folder only.
namespace vedette::tsdb {

// Ask the system for what a start is going to read, so that the disk works while the processor does.
// Best effort; the files are those of the machine's own file system.

// The log, which opening reads from its beginning to its end.
void WillReadLog(const std::string& path);
// The tables that are read whole, in the order in which that is done: kMeta, kSeries, kHead.
void WillReadTables(const std::string& path, rocksdb::DB& db);

}  // namespace vedette::tsdb
