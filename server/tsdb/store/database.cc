#include "server/tsdb/store/database.h"

#include <rocksdb/sst_file_reader.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "common/base/strings.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/repair.h"
#include "server/tsdb/store/witness.h"

namespace vedette::tsdb {
namespace {

namespace fs = std::filesystem;

// Tables whose footers and indexes are looked at when a directory is opened; of more than these only
// the sizes. About 0.2 ms each.
constexpr size_t kMaxOpenedTables = 256;
constexpr size_t kMaxDamageLines = 100;

bool IsNoSpace(const rocksdb::Status& s) { return s.subcode() == rocksdb::Status::kNoSpace; }

bool IsLocked(const rocksdb::Status& s) {
  const std::string text = s.ToString();
  return s.IsIOError() && (text.find("lock ") != std::string::npos ||
                           text.find("LOCK") != std::string::npos);
}

// Whether a repair may help. An I/O error is none: it may pass, and a repair would take for lost what
// cannot be read just now.
bool IsDamage(const rocksdb::Status& s) {
  return s.IsCorruption() || s.IsNotFound() || s.IsPathNotFound();
}

bool IsOurs(const fs::path& file) {
  const std::string name = file.filename().string();
  const std::string extension = file.extension().string();
  return extension == ".sst" || extension == ".log" || name.starts_with("MANIFEST-");
}

// The families of the setup that are there: for reading none can be made, and one that is new, as where
// roll-ups are asked for the first time, is the last.
std::vector<rocksdb::ColumnFamilyDescriptor> FamiliesThere(const DatabaseSetup& setup) {
  std::vector<rocksdb::ColumnFamilyDescriptor> out = setup.families;
  std::vector<std::string> there;
  if (!rocksdb::DB::ListColumnFamilies(setup.options, setup.path, &there).ok()) return out;
  while (!out.empty() && std::ranges::find(there, out.back().name) == there.end()) out.pop_back();
  return out;
}

rocksdb::Status OpenOnce(const DatabaseSetup& setup, bool read_only,
                         std::unique_ptr<Database>& out) {
  auto database = std::make_unique<Database>();
  database->read_only = read_only;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status s =
      read_only ? rocksdb::DB::OpenForReadOnly(setup.options, setup.path, FamiliesThere(setup),
                                               &database->handles, &db)
                : rocksdb::DB::Open(setup.options, setup.path, setup.families, &database->handles,
                                    &db);
  database->db.reset(db);
  if (s.ok()) out = std::move(database);
  return s;
}

// What is wrong with a table; "" where nothing is.
std::string DamageOfTable(const std::string& path, const rocksdb::LiveFileMetaData& f,
                          const rocksdb::Options* open_with) {
  struct stat s;
  if (stat(path.c_str(), &s) != 0) return StrCat("table ", path, " is missing");
  if (static_cast<uint64_t>(s.st_size) != f.size) {
    return StrCat("table ", path, " has ", s.st_size, " bytes of ", f.size);
  }
  if (open_with == nullptr) return "";
  rocksdb::SstFileReader reader(*open_with);
  const rocksdb::Status opening = reader.Open(path);
  return opening.ok() || !IsDamage(opening) ? "" : StrCat("table ", path, ": ", opening.ToString());
}

// Tables that are missing, of another length than the manifest says, or whose index cannot be read.
std::vector<std::string> DamagedTables(const DatabaseSetup& setup, rocksdb::DB& db) {
  std::map<std::string, std::string> found;  // By name.
  std::vector<rocksdb::LiveFileMetaData> files;
  db.GetLiveFilesMetaData(&files);
  FailPoint("open.listed");
  const rocksdb::Options options(setup.options, rocksdb::ColumnFamilyOptions());
  size_t opened = 0;
  for (const rocksdb::LiveFileMetaData& f : files) {
    std::string damage =
        DamageOfTable(setup.path + f.name, f, opened++ < kMaxOpenedTables ? &options : nullptr);
    if (!damage.empty()) found.emplace(f.name, std::move(damage));
  }
  std::vector<std::string> out;
  if (found.empty()) return out;
  // RocksDB merges tables from the first moment on: one that it has merged meanwhile is gone for good
  // reason.
  files.clear();
  db.GetLiveFilesMetaData(&files);
  for (const rocksdb::LiveFileMetaData& f : files) {
    if (const auto it = found.find(f.name); it != found.end()) out.push_back(it->second);
  }
  return out;
}

// What can be told from outside, before RocksDB opens the directory and takes for obsolete what its
// list of files does not name.
std::optional<std::string> DamageOfList(const std::string& path) {
  if (RepairPending(path)) return StrCat("a repair of ", path, " was interrupted");
  bool has_files = false;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    has_files = has_files || (entry.is_regular_file(error) && IsOurs(entry.path()));
  }
  if (!has_files) return std::nullopt;
  const std::string manifest = CurrentManifest(path);
  if (manifest.empty()) return StrCat(path, "/CURRENT is missing or damaged");
  if (!fs::exists(manifest, error)) return StrCat(manifest, " is missing");
  const Result<std::optional<WitnessRecord>> witness = Witness::Read(WitnessPath(path));
  if (!witness.ok() || !*witness) return std::nullopt;  // Nobody to ask.
  const WitnessRecord& w = **witness;
  if (w.manifest != ManifestNumber(manifest)) return std::nullopt;  // A newer one since.
  const std::optional<uint64_t> hash = Witness::HashOf(manifest, w.manifest_bytes);
  if (!hash) return StrCat(manifest, " is shorter than the ", w.manifest_bytes, " bytes it had");
  if (*hash != w.manifest_hash) return StrCat(manifest, " is damaged");
  return std::nullopt;
}

}  // namespace

Database::~Database() {
  if (!db) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles) (void)db->DestroyColumnFamilyHandle(handle);
  (void)db->Close();
}

void InfoLog::Logv(const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  const std::string_view text(line);
  if (text.find("dropping ") == std::string_view::npos) return;
  MutexLock lock(mu_);
  if (damage_.size() < kMaxDamageLines) damage_.emplace_back(StrCat("the log: ", Trim(text)));
}

std::vector<std::string> InfoLog::TakeDamage() {
  MutexLock lock(mu_);
  return std::exchange(damage_, {});
}

Status ToStatus(const rocksdb::Status& s) {
  if (s.ok()) return {};
  const std::string text = s.ToString();
  // A file that is gone is as damaged as one can be.
  if (s.IsCorruption() || s.IsPathNotFound()) return DataLoss(text);
  if (s.IsNotFound()) return NotFound(text);
  // Everything else comes from the disk or its fullness; trying again may help.
  return Unavailable(text);
}

std::string WitnessPath(const std::string& path) { return path + "/WITNESS"; }

std::string CurrentManifest(const std::string& path) {
  std::ifstream in(path + "/CURRENT");
  std::string name;
  if (!std::getline(in, name) || !name.starts_with("MANIFEST-")) return "";
  for (const char c : name.substr(9)) {
    if (c < '0' || c > '9') return "";
  }
  return StrCat(path, "/", name);
}

uint64_t ManifestNumber(const std::string& manifest_path) {
  const size_t dash = manifest_path.rfind('-');
  if (dash == std::string::npos) return 0;
  return std::strtoull(manifest_path.c_str() + dash + 1, nullptr, 10);
}

Result<std::unique_ptr<Database>> OpenDatabase(const DatabaseSetup& setup,
                                               std::vector<std::string>& damage) {
  (void)setup.log->TakeDamage();
  bool repaired = false;
  uint64_t reached = 0;
  auto repair = [&]() -> Status {
    repaired = true;
    VEDETTE_ASSIGN_OR_RETURN(reached, Repair(setup, damage));
    return {};
  };
  if (std::optional<std::string> list = DamageOfList(setup.path)) {
    damage.push_back(*std::move(list));
    VEDETTE_RETURN_IF_ERROR(repair());
  }
  std::unique_ptr<Database> out;
  rocksdb::Status opened = OpenOnce(setup, false, out);
  if (IsNoSpace(opened)) {
    const rocksdb::Status reading = OpenOnce(setup, true, out);
    if (!reading.ok()) return ToStatus(opened);
    return out;
  }
  if (opened.ok() && !repaired) {
    std::vector<std::string> tables = DamagedTables(setup, *out->db);
    if (!tables.empty()) {
      damage.insert(damage.end(), tables.begin(), tables.end());
      out.reset();
      // A repair reads only what the directory has; of a damaged table it keeps nothing.
      VEDETTE_RETURN_IF_ERROR(repair());
      opened = OpenOnce(setup, false, out);
    }
  }
  if (IsLocked(opened)) {
    return FailedPrecondition(StrCat("storage directory ", Quoted(setup.path),
                                     " is used by another process: ", opened.ToString()));
  }
  if (IsDamage(opened) && !repaired) {
    damage.push_back(opened.ToString());
    VEDETTE_RETURN_IF_ERROR(repair());
    opened = OpenOnce(setup, false, out);
  }
  if (opened.ok()) out->read_up_to = reached;
  if (!opened.ok()) return ToStatus(opened);
  for (std::string& line : setup.log->TakeDamage()) damage.push_back(std::move(line));
  return out;
}

Result<std::unique_ptr<Database>> ReadDatabase(const DatabaseSetup& setup,
                                               std::vector<std::string>& damage) {
  std::error_code error;
  if (!fs::is_directory(setup.path, error)) return NotFound("there is no such directory");
  bool has_files = false;
  for (const auto& entry : fs::directory_iterator(setup.path, error)) {
    has_files = has_files || IsOurs(entry.path());
  }
  if (error) return FailedPrecondition(error.message());
  if (!has_files) return NotFound("there is no storage in it: no MANIFEST, no tables, no log");
  (void)setup.log->TakeDamage();
  if (std::optional<std::string> list = DamageOfList(setup.path)) damage.push_back(*std::move(list));
  std::unique_ptr<Database> out;
  if (const rocksdb::Status s = OpenOnce(setup, true, out); !s.ok()) {
    const std::string why = StrCat(
        damage.empty() ? s.ToString() : damage.back(),
        "; it cannot be read as it is: a server that is started on it repairs what can be repaired");
    return IsDamage(s) || !damage.empty() ? DataLoss(why) : Unavailable(why);
  }
  for (std::string& line : DamagedTables(setup, *out->db)) damage.push_back(std::move(line));
  for (std::string& line : setup.log->TakeDamage()) damage.push_back(std::move(line));
  return out;
}

}  // namespace vedette::tsdb
