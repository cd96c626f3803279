#include "server/tsdb/store/tables.h"

#include <atomic>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/strings.h"
#include "server/tsdb/store/database.h"

namespace vedette::tsdb {
namespace {

constexpr size_t kFiles = 4;  // As many as RocksDB lets lie before it merges them.

rocksdb::Slice ToSlice(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

std::string TablesPath(const std::string& path) { return path + "/ingest"; }

StoreTables::StoreTables(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
StoreTables::~StoreTables() = default;
StoreTables::StoreTables(StoreTables&&) noexcept = default;
StoreTables& StoreTables::operator=(StoreTables&&) noexcept = default;

Status StoreTables::Put(std::string_view key, std::string_view value) {
  VEDETTE_RETURN_IF_ERROR(rep_->Ready(key));
  return rep_->Wrote(rep_->writer->Put(ToSlice(key), ToSlice(value)), key.size() + value.size());
}

Status StoreTables::Delete(std::string_view key) {
  VEDETTE_RETURN_IF_ERROR(rep_->Ready(key));
  return rep_->Wrote(rep_->writer->Delete(ToSlice(key)), key.size());
}

bool StoreTables::empty() const { return rep_->files.empty(); }
uint64_t StoreTables::bytes() const { return rep_->bytes; }
bool StoreTables::full() const { return rep_->bytes >= kFiles * rep_->file_bytes; }

// A file is begun, if there is none.
Status StoreTables::Rep::Ready(std::string_view key) {
  static std::atomic<uint64_t> number{0};
  if (files.empty()) first = key;
  last = key;
  if (writer != nullptr) return {};
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Unavailable(StrCat(directory, ": ", error.message()));
  files.push_back(StrCat(directory, "/", number++, ".sst"));
  writer = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(options), options);
  return ToStatus(writer->Open(files.back())).Annotate(files.back());
}

Status StoreTables::Rep::Wrote(const rocksdb::Status& status, uint64_t n) {
  if (!status.ok()) return ToStatus(status).Annotate(files.back());
  bytes += n;
  return writer->FileSize() >= file_bytes ? Cut() : Status();
}

Status StoreTables::Rep::Cut() {
  if (writer == nullptr) return {};
  const rocksdb::Status s = writer->Finish();
  writer.reset();
  return ToStatus(s).Annotate(files.back());
}

void StoreTables::Rep::Clear() {
  writer.reset();
  std::error_code error;
  for (const std::string& file : files) std::filesystem::remove(file, error);
  files.clear();
  bytes = 0;
}

}  // namespace vedette::tsdb
