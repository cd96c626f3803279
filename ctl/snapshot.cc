#include "ctl/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "ctl/directory.h"
#include "ctl/output.h"
#include "server/tsdb/inspect/verify.h"
#include "server/tsdb/tsdb.h"

namespace vedette::ctl {
namespace {

namespace fs = std::filesystem;

// What belongs to a storage: plain files. Folders beside them (snapshots/, lost/) stay.
Result<std::vector<fs::path>> FilesOf(const std::string& directory) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.is_regular_file(error)) out.push_back(entry.path());
  }
  if (error) return FailedPrecondition(StrCat(Quoted(directory), ": ", error.message()));
  // RocksDB takes a directory without CURRENT for a new one: it goes first and comes last, so that
  // half a storage is never taken for one.
  std::ranges::sort(out, [](const fs::path& a, const fs::path& b) {
    const auto key = [](const fs::path& p) { return std::pair(p.filename() != "CURRENT", p); };
    return key(a) < key(b);
  });
  return out;
}

Status Sync(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Unavailable(StrCat(path.string(), ": ", std::strerror(errno)));
  const bool synced = ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  return synced ? Status() : Unavailable(StrCat(path.string(), ": ", std::strerror(error)));
}

Status Move(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  return error ? Unavailable(StrCat(from.string(), " to ", to.string(), ": ", error.message()))
               : Status();
}

// Copies with the owner of `like`, so that a server that does not run as root may read them.
Status Copy(const std::vector<fs::path>& files, const fs::path& to, const struct stat& like,
            uint64_t& bytes) {
  for (const fs::path& from : files) {
    const fs::path target = to / from.filename();
    std::error_code error;
    fs::copy_file(from, target, error);
    if (error) {
      return Unavailable(StrCat("copying ", from.string(), " to ", target.string(), ": ",
                                error.message()));
    }
    bytes += fs::file_size(target, error);
    if (::geteuid() == 0 && ::chown(target.c_str(), like.st_uid, like.st_gid) != 0) {
      return Unavailable(StrCat(target.string(), ": ", std::strerror(errno)));
    }
    VEDETTE_RETURN_IF_ERROR(Sync(target));
  }
  return Sync(to);
}

}  // namespace

Status SnapshotCreate::Run(const HttpApi& api, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const std::string body,
                           api.Call("POST", "/api/v1/admin/tsdb/snapshot"));
  const nlohmann::json answer = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto name = answer.is_object() && answer.contains("data") && answer["data"].is_object()
                        ? answer["data"].value("name", "")
                        : "";
  if (name.empty()) return Unavailable(StrCat(api.url, " did not answer as a server does"));
  out << name << '\n';
  return {};
}

Status SnapshotRestore::Run(const Clock& clock, std::ostream& out) const {
  std::error_code error;
  if (fs::weakly_canonical(snapshot, error) == fs::weakly_canonical(directory, error)) {
    return InvalidArgument("the snapshot and the directory are the same");
  }
  VEDETTE_RETURN_IF_ERROR(NotInUse(snapshot, "make a snapshot of it"));
  tsdb::VerifyReport report;
  {
    VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<tsdb::Tsdb> db, ReadStorage(snapshot, clock));
    VEDETTE_ASSIGN_OR_RETURN(report, db->Verify());
  }
  if (!report.whole()) {
    for (const std::string& sentence : report.sentences) out << "damaged: " << sentence << '\n';
    if (!accept_damaged) {
      return DataLoss(StrCat(Quoted(snapshot), " is damaged; nothing was changed. Restore an older "
                             "one, or this one as far as it goes with --accept-damaged"));
    }
  }

  fs::create_directories(directory, error);
  if (error) return FailedPrecondition(StrCat(Quoted(directory), ": ", error.message()));
  VEDETTE_RETURN_IF_ERROR(NotInUse(directory, "restore into another directory"));
  struct stat like = {};
  if (::stat(directory.c_str(), &like) != 0) {
    return FailedPrecondition(StrCat(Quoted(directory), ": ", std::strerror(errno)));
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<fs::path> old, FilesOf(directory));
  if (!old.empty() && !replace) {
    return FailedPrecondition(StrCat(Quoted(directory), " has files already, ",
                                     old.front().filename().string(),
                                     " for one; --replace keeps them aside and goes on"));
  }

  VEDETTE_ASSIGN_OR_RETURN(const std::vector<fs::path> files, FilesOf(snapshot));
  const fs::path room = fs::path(directory) / ".restoring";
  fs::remove_all(room, error);
  fs::create_directory(room, error);
  if (error) return Unavailable(StrCat(room.string(), ": ", error.message()));
  uint64_t bytes = 0;
  if (const Status copied = Copy(files, room, like, bytes); !copied.ok()) {
    fs::remove_all(room, error);  // Best effort: the next attempt removes it too.
    return copied.Annotate("nothing was changed");
  }
  if (!old.empty()) {
    const fs::path aside = fs::path(directory) / StrCat("before-restore-", clock.NowMs());
    fs::create_directory(aside, error);
    if (error) return Unavailable(StrCat(aside.string(), ": ", error.message()));
    for (const fs::path& f : old) VEDETTE_RETURN_IF_ERROR(Move(f, aside / f.filename()));
    out << "what was there is in " << aside.string() << '\n';
  }
  for (auto f = files.rbegin(); f != files.rend(); ++f) {
    VEDETTE_RETURN_IF_ERROR(Move(room / f->filename(), fs::path(directory) / f->filename()));
  }
  fs::remove(room, error);
  VEDETTE_RETURN_IF_ERROR(Sync(directory));

  VEDETTE_ASSIGN_OR_RETURN(const std::unique_ptr<tsdb::Tsdb> db, ReadStorage(directory, clock));
  const tsdb::TsdbStats s = db->stats();
  out << "restored " << BytesText(bytes) << " into " << directory << ": " << s.series << " series";
  if (s.min_t_ms <= s.max_t_ms) {
    out << ", from " << FormatTime(s.min_t_ms) << " to " << FormatTime(s.max_t_ms);
  }
  out << "\nstart the server with --storage.tsdb.path=" << directory << '\n';
  return {};
}

}  // namespace vedette::ctl
