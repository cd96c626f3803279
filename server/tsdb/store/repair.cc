#include "server/tsdb/store/repair.h"

#include <fcntl.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/utilities/debug.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/strings.h"
#include "server/tsdb/store/halting_file_system.h"

namespace vedette::tsdb {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBatchBytes = 1 << 20;

std::string Aside(const std::string& path) { return path + "/repairing"; }

bool IsTable(const fs::path& file) { return file.extension() == ".sst"; }
bool IsLog(const fs::path& file) { return file.extension() == ".log"; }

std::vector<fs::path> FilesOf(const std::string& directory, bool (*wanted)(const fs::path&)) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.is_regular_file(error) && wanted(entry.path())) out.push_back(entry.path());
  }
  std::ranges::sort(out);  // RocksDB's numbers have six digits: in order of age.
  return out;
}

Status Sync(const std::string& name) {
  const int file = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  const bool ok = file >= 0 && fsync(file) == 0;
  const int error = errno;
  if (file >= 0) close(file);
  return ok ? Status() : Unavailable(StrCat(name, ": ", strerror(error)));
}

Status Move(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  return error ? Unavailable(StrCat(from.string(), ": ", error.message())) : Status();
}

// A folder of lost/ that is not there yet.
Result<fs::path> NewPlace(const std::string& path, std::string_view what) {
  std::error_code error;
  fs::create_directories(fs::path(path) / "lost", error);
  if (error) return Unavailable(StrCat(path, "/lost: ", error.message()));
  for (int i = 0;; ++i) {
    fs::path place = fs::path(path) / "lost" /
                     StrCat(what, "-", static_cast<int64_t>(std::time(nullptr)), "-", i);
    if (!fs::exists(place, error)) return place;
  }
}

// Names by number.
using Families = std::map<uint32_t, std::string>;

Families ReadFamilies(const std::string& directory) {
  Families out;
  std::ifstream in(directory + "/FAMILIES");
  uint32_t number = 0;
  for (std::string name; in >> number >> name;) out[number] = name;
  return out;
}

Status WriteFamilies(const std::string& directory, const Families& families) {
  const std::string name = directory + "/FAMILIES";
  const std::string fresh = name + ".new";
  {
    std::ofstream out(fresh);
    for (const auto& [number, family] : families) out << number << ' ' << family << '\n';
  }
  VEDETTE_RETURN_IF_ERROR(Sync(fresh));
  return Move(fresh, name);
}

// By number. From FAMILIES; without it as a new directory numbers them; and the tables know best.
Families FamiliesOf(const DatabaseSetup& setup) {
  Families out = ReadFamilies(setup.path);
  if (out.empty()) {
    uint32_t number = 0;
    for (const auto& family : setup.families) out[number++] = family.name;
  }
  const rocksdb::Options options(setup.options, rocksdb::ColumnFamilyOptions());
  for (const fs::path& table : FilesOf(setup.path, IsTable)) {
    rocksdb::SstFileReader reader(options);
    if (!reader.Open(table.string()).ok()) continue;
    const auto properties = reader.GetTableProperties();
    const std::string& name = properties->column_family_name;
    const auto id = static_cast<uint32_t>(properties->column_family_id);
    if (name.empty()) continue;
    std::erase_if(out, [&](const auto& f) { return f.second == name; });
    out[id] = name;
  }
  return out;
}

// The log goes to repairing/ first of all. MOVED says that it is there: what is in the directory
// from then on is our own.
Status PutLogsAside(const DatabaseSetup& setup) {
  const std::string& path = setup.path;
  const std::string aside = Aside(path);
  const std::string moved = aside + "/MOVED";
  std::error_code error;
  fs::create_directories(aside, error);
  if (error) return Unavailable(StrCat(aside, ": ", error.message()));
  const bool again = fs::exists(moved, error);
  if (!again) {
    VEDETTE_RETURN_IF_ERROR(WriteFamilies(aside, FamiliesOf(setup)));
  }
  for (const fs::path& log : FilesOf(path, IsLog)) {
    if (again) {
      fs::remove(log, error);
    } else {
      VEDETTE_RETURN_IF_ERROR(Move(log, fs::path(aside) / log.filename()));
    }
  }
  if (again) return {};
  std::ofstream(moved) << "the log is here\n";
  VEDETTE_RETURN_IF_ERROR(Sync(moved));
  VEDETTE_RETURN_IF_ERROR(Sync(aside));
  return Sync(path);
}

// Tables without a single key, of deleted ranges alone: RepairDB of RocksDB 7.8 asserts on them. What
// they deleted comes back.
Status PutEmptyTablesAside(const DatabaseSetup& setup, std::vector<std::string>& damage) {
  const rocksdb::Options options(setup.options, rocksdb::ColumnFamilyOptions());
  for (const fs::path& table : FilesOf(setup.path, IsTable)) {
    rocksdb::SstFileReader reader(options);
    if (!reader.Open(table.string()).ok()) continue;
    const auto properties = reader.GetTableProperties();
    if (properties->num_entries > properties->num_range_deletions) continue;
    Result<fs::path> place = NewPlace(setup.path, "empty");
    if (!place.ok()) return place.status();
    VEDETTE_RETURN_IF_ERROR(Move(table, *place));
    damage.push_back(StrCat("deletions in ", table.string(), " are undone"));
  }
  return {};
}

// Of the two tables that RepairDB names because they hold the same changes, the second: "... file #A
// with seqno a b vs. file #B with seqno c d".
std::optional<fs::path> TableThatDoesNotFit(const std::string& path, const Status& why) {
  constexpr std::string_view kBefore = "vs. file #";
  const std::string text(why.message());
  const size_t at = text.find(kBefore);
  if (at == std::string::npos) return std::nullopt;
  const uint64_t number = std::strtoull(text.c_str() + at + kBefore.size(), nullptr, 10);
  for (const fs::path& table : FilesOf(path, IsTable)) {
    if (std::strtoull(table.filename().c_str(), nullptr, 10) == number) return table;
  }
  return std::nullopt;
}

Status PutTablesAside(const std::string& path) {
  Result<fs::path> place = NewPlace(path, "all");
  if (!place.ok()) return place.status();
  std::error_code error;
  fs::create_directories(*place, error);
  if (error) return Unavailable(StrCat(place->string(), ": ", error.message()));
  for (const fs::path& file : FilesOf(path, [](const fs::path& f) {
         const std::string name = f.filename();
         return IsTable(f) || name == "CURRENT" || name.starts_with("MANIFEST-") ||
                name.starts_with("OPTIONS-");
       })) {
    VEDETTE_RETURN_IF_ERROR(Move(file, *place / file.filename()));
  }
  return {};
}

// A new list of the tables there are. Where none can be made they all go to lost/.
Status ListTables(const DatabaseSetup& setup, std::vector<std::string>& damage) {
  if (FilesOf(setup.path, IsTable).empty()) return {};  // A new directory, then.
  VEDETTE_RETURN_IF_ERROR(PutEmptyTablesAside(setup, damage));
  while (true) {
    const auto halting =
        std::make_shared<HaltingFileSystem>(setup.options.env->GetFileSystem());
    const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(halting);
    rocksdb::DBOptions options = setup.options;
    options.env = env.get();
    options.listeners.clear();
    Status s = ToStatus(rocksdb::RepairDB(setup.path, options, setup.families));
    if (const rocksdb::IOStatus halted = halting->halted(); !halted.ok()) {
      return Unavailable(halted.ToString()).Annotate(StrCat("repair of ", setup.path));
    }
    if (s.code() != StatusCode::kDataLoss) return s.Annotate(StrCat("repair of ", setup.path));
    const std::optional<fs::path> table = TableThatDoesNotFit(setup.path, s);
    if (!table) {
      damage.push_back(StrCat("the tables of ", setup.path, " could not be listed anew: ",
                              s.message(), "; they are all kept in ", setup.path, "/lost"));
      return PutTablesAside(setup.path);
    }
    VEDETTE_RETURN_IF_ERROR(Move(*table, fs::path(Aside(setup.path)) / table->filename()));
  }
}

rocksdb::Status OpenPlainly(const DatabaseSetup& setup, std::unique_ptr<Database>& out) {
  out = std::make_unique<Database>();
  rocksdb::DBOptions options = setup.options;
  options.listeners.clear();  // What goes wrong here is ours to tell.
  rocksdb::DB* db = nullptr;
  const rocksdb::Status s =
      rocksdb::DB::Open(options, setup.path, setup.families, &out->handles, &db);
  out->db.reset(db);
  if (!s.ok()) out.reset();
  return s;
}

// Collects changes and writes them in pieces.
class Writer {
 public:
  explicit Writer(Database& to) : to_(to) {}
  rocksdb::WriteBatch& batch() { return batch_; }
  Status WriteIfLarge() { return batch_.GetDataSize() < kBatchBytes ? Status() : Write(); }
  Status Write(bool sync = false) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    const rocksdb::Status s = to_.db->Write(options, &batch_);
    batch_.Clear();
    return s.ok() ? Status() : Unavailable(s.ToString());
  }

 private:
  Database& to_;
  rocksdb::WriteBatch batch_;
};

// Puts what the table has and the database has not. Where the database has the key, that one is as
// new or newer: what does not fit holds changes that a larger table holds too.
Status Replay(const DatabaseSetup& setup, const fs::path& table, Database& to,
              std::vector<std::string>& damage) {
  const rocksdb::Options options(setup.options, rocksdb::ColumnFamilyOptions());
  rocksdb::SstFileReader reader(options);
  rocksdb::Status s = reader.Open(table.string());
  if (!s.ok()) {
    damage.push_back(StrCat("table ", table.string(), ": ", s.ToString()));
    return {};
  }
  const std::string family = reader.GetTableProperties()->column_family_name;
  const auto handle = std::ranges::find_if(
      to.handles, [&](auto* h) { return h->GetName() == family; });
  if (handle == to.handles.end()) return {};
  Writer writer(to);
  const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(rocksdb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    rocksdb::PinnableSlice there;
    s = to.db->Get(rocksdb::ReadOptions(), *handle, it->key(), &there);
    if (s.ok()) continue;
    if (!s.IsNotFound()) return Unavailable(s.ToString());
    (void)writer.batch().Put(*handle, it->key(), it->value());
    VEDETTE_RETURN_IF_ERROR(writer.WriteIfLarge());
  }
  if (!it->status().ok()) {
    damage.push_back(StrCat("table ", table.string(), ": ", it->status().ToString()));
  }
  return writer.Write();
}

// An empty directory whose families have these numbers.
Status MakeDirectory(const DatabaseSetup& setup, const Families& families) {
  rocksdb::DBOptions options = setup.options;
  options.listeners.clear();
  rocksdb::DB* opened = nullptr;
  rocksdb::Status s =
      rocksdb::DB::Open(rocksdb::Options(options, rocksdb::ColumnFamilyOptions()), setup.path, &opened);
  if (!s.ok()) return ToStatus(s);
  const std::unique_ptr<rocksdb::DB> db(opened);
  for (uint32_t id = 1; s.ok() && id <= families.rbegin()->first; ++id) {
    const auto named = families.find(id);
    const std::string name = named == families.end() ? StrCat("none", id) : named->second;
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    s = db->CreateColumnFamily(rocksdb::ColumnFamilyOptions(), name, &handle);
    if (s.ok() && named == families.end()) s = db->DropColumnFamily(handle);
    if (handle != nullptr) (void)db->DestroyColumnFamilyHandle(handle);
  }
  const rocksdb::Status closed = db->Close();
  return ToStatus(s.ok() ? closed : s);
}

// Writes the last version of every key of the log. Gives the number of the log's last change.
Result<uint64_t> ReplayLog(const DatabaseSetup& setup, Database& to) {
  const std::vector<fs::path> logs = FilesOf(Aside(setup.path), IsLog);
  if (logs.empty()) return uint64_t{0};
  // RocksDB reads the log into a directory of its own, from a copy.
  DatabaseSetup own = setup;
  own.path = Aside(setup.path) + "/log";
  std::error_code error;
  fs::remove_all(own.path, error);
  fs::create_directories(own.path, error);
  VEDETTE_RETURN_IF_ERROR(MakeDirectory(own, ReadFamilies(Aside(setup.path))));
  for (const fs::path& log : FilesOf(own.path, IsLog)) fs::remove(log, error);
  constexpr size_t kFirstNumber = 1000000;  // Behind every number that the new directory used.
  for (size_t i = 0; i < logs.size(); ++i) {
    fs::copy_file(logs[i], fs::path(own.path) / StrCat(kFirstNumber + i, ".log"), error);
    if (error) return Unavailable(StrCat(logs[i].string(), ": ", error.message()));
  }
  std::unique_ptr<Database> log;
  if (const rocksdb::Status s = OpenPlainly(own, log); !s.ok()) return ToStatus(s);
  Writer writer(to);
  for (size_t f = 0; f < log->handles.size(); ++f) {
    std::vector<rocksdb::KeyVersion> versions;
    const rocksdb::Status s = rocksdb::GetAllKeyVersions(log->db.get(), log->handles[f], {}, {},
                                                         SIZE_MAX, &versions);
    if (!s.ok()) return ToStatus(s);
    const std::string* last = nullptr;
    for (const rocksdb::KeyVersion& v : versions) {
      // The newest comes first.
      if (last != nullptr && *last == v.user_key) continue;
      last = &v.user_key;
      constexpr int kValue = 1;
      if (v.type == kValue) {
        (void)writer.batch().Put(to.handles[f], v.user_key, v.value);
      } else {
        (void)writer.batch().Delete(to.handles[f], v.user_key);
      }
      VEDETTE_RETURN_IF_ERROR(writer.WriteIfLarge());
    }
  }
  VEDETTE_RETURN_IF_ERROR(writer.Write());
  const uint64_t reached = log->db->GetLatestSequenceNumber();
  log.reset();
  fs::remove_all(own.path, error);
  return reached;
}

}  // namespace

bool RepairPending(const std::string& path) {
  std::error_code error;
  return fs::exists(Aside(path), error);
}

Result<uint64_t> Repair(const DatabaseSetup& setup, std::vector<std::string>& damage) {
  VEDETTE_RETURN_IF_ERROR(PutLogsAside(setup));
  VEDETTE_RETURN_IF_ERROR(ListTables(setup, damage));
  std::unique_ptr<Database> database;
  rocksdb::Status opened = OpenPlainly(setup, database);
  if (opened.IsCorruption() || opened.IsNotFound() || opened.IsPathNotFound()) {
    damage.push_back(StrCat("could not be repaired: ", opened.ToString(),
                            "; its tables are kept in ", setup.path, "/lost"));
    VEDETTE_RETURN_IF_ERROR(PutTablesAside(setup.path));
    opened = OpenPlainly(setup, database);
  }
  if (!opened.ok()) return Unavailable(opened.ToString());
  uint64_t reached = database->db->GetLatestSequenceNumber();
  for (const fs::path& table : FilesOf(Aside(setup.path), IsTable)) {
    VEDETTE_RETURN_IF_ERROR(Replay(setup, table, *database, damage));
  }
  Result<uint64_t> logged = ReplayLog(setup, *database);
  if (logged.ok()) {
    reached = std::max(reached, *logged);
  } else if (logged.status().code() == StatusCode::kUnavailable) {
    return logged.status();
  } else {
    damage.push_back(StrCat("the log: ", logged.status().message()));
  }
  VEDETTE_RETURN_IF_ERROR(Writer(*database).Write(/*sync=*/true));
  NoteFamilies(setup.path, *database);
  database.reset();
  VEDETTE_ASSIGN_OR_RETURN(const fs::path place, NewPlace(setup.path, "repaired"));
  VEDETTE_RETURN_IF_ERROR(Move(Aside(setup.path), place));
  (void)Sync(setup.path);
  return reached;
}

void NoteFamilies(const std::string& path, const Database& database) {
  Families families;
  for (rocksdb::ColumnFamilyHandle* handle : database.handles) {
    families[handle->GetID()] = handle->GetName();
  }
  // A disk that takes no file has none; a repair then numbers them as a new directory does.
  if (ReadFamilies(path) != families) (void)WriteFamilies(path, families);
}

}  // namespace vedette::tsdb
