#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "server/tsdb/store/database.h"

// Inside this folder only: the headers of RocksDB go no further.
namespace vedette::tsdb {

// What can be got out of a directory whose list of files, or whose tables, are damaged.
//
// RepairDB of RocksDB 7.8 rebuilds the list from the tables that can be read. Three things it does not
// do: it keeps of the log what belongs to families that have a table; it fails where two tables hold
// the same changes, as a table and the log that it was written from do; and a second call after one
// that was interrupted finds a list that names nothing, whose opening would delete every table. So
// the log is kept away from it, in repairing/, and replayed afterwards into the directory that it
// made, and so is what is in tables that did not fit. While repairing/ is there the directory must not
// be opened, only repaired; in the end it moves to lost/ with what was replayed from it.

// Whether a repair has begun and not ended.
bool RepairPending(const std::string& path);

// Repairs it. Whatever could not be used goes into `damage`, a sentence each, and lies in lost/.
// Gives the number of the last change that was found, which RocksDB itself cannot say any more: what
// is replayed is numbered anew. kUnavailable: the disk does not let us; nothing is lost or decided,
// and the next call goes on.
Result<uint64_t> Repair(const DatabaseSetup& setup, std::vector<std::string>& damage);

// The numbers by which the log calls the families, written beside it, as the log alone does not say
// their names: FAMILIES, a line "number name" each.
void NoteFamilies(const std::string& path, const Database& database);

}  // namespace vedette::tsdb
