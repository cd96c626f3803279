#include "agent/snapshot/ring_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "common/base/strings.h"
#include "common/log/log.h"

namespace vedette::agent {
namespace {

constexpr char kFrame = 1;
constexpr char kDone = 2;
constexpr size_t kHeaderBytes = 9;  // u32 length, u32 checksum, u8 kind.
constexpr size_t kMaxRecordBytes = 256 << 20;
constexpr std::string_view kSuffix = ".ring";
constexpr std::string_view kMagic = "vedette-ring 1";

template <typename T>
void PutLittle(std::string& out, T v) {
  for (size_t i = 0; i < sizeof v; ++i) out.push_back(static_cast<char>(v >> (8 * i) & 0xff));
}

template <typename T>
T GetLittle(const char* p) {
  T v = 0;
  for (size_t i = 0; i < sizeof v; ++i) {
    v |= static_cast<T>(static_cast<unsigned char>(p[i])) << (8 * i);
  }
  return v;
}

uint32_t Checksum(char kind, std::string_view payload) {
  return XXH32(payload.data(), payload.size(), static_cast<uint32_t>(kind));
}

template <typename T>
bool ReadNumber(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

std::vector<RingFiles::Entry> ReadRingSegment(std::string_view bytes, bool* damaged) {
  std::vector<RingFiles::Entry> entries;
  *damaged = true;
  while (!bytes.empty()) {
    if (bytes.size() < kHeaderBytes) return entries;
    const auto length = GetLittle<uint32_t>(bytes.data());
    const auto checksum = GetLittle<uint32_t>(bytes.data() + 4);
    const char kind = bytes[8];
    if (length > kMaxRecordBytes || length > bytes.size() - kHeaderBytes) return entries;
    const std::string_view payload = bytes.substr(kHeaderBytes, length);
    if (Checksum(kind, payload) != checksum) return entries;
    bytes.remove_prefix(kHeaderBytes + length);
    if (kind == kFrame) {
      if (payload.size() < 8) return entries;
      entries.push_back({.sequence = GetLittle<uint64_t>(payload.data()),
                         .frame = std::string(payload.substr(8))});
    } else if (kind == kDone) {
      for (size_t at = 0; at + 8 <= payload.size(); at += 8) {
        const auto sequence = GetLittle<uint64_t>(payload.data() + at);
        for (RingFiles::Entry& e : entries) e.done = e.done || e.sequence == sequence;
      }
    } else {
      return entries;
    }
  }
  *damaged = false;
  return entries;
}

Result<std::unique_ptr<RingFiles>> RingFiles::Open(const std::string& folder,
                                                   uint64_t fresh_run_id) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return Unavailable(StrCat(folder, ": cannot be made: ", error.message()));
  const int lock = open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return Unavailable(StrCat(folder, "/lock: ", std::strerror(errno)));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    close(lock);
    return FailedPrecondition(StrCat(folder, ": another agent keeps its ring there"));
  }
  std::unique_ptr<RingFiles> files(new RingFiles(folder, lock));
  const std::string meta = ReadAll(folder + "/meta");
  const auto lines = Split(meta, '\n');
  const bool known = lines.size() >= 3 && lines[0] == kMagic &&
                     ReadNumber(lines[1], files->run_id_) &&
                     ReadNumber(lines[2], files->interval_ms_);
  if (!known) {
    files->run_id_ = fresh_run_id;
    files->interval_ms_ = 0;
    VEDETTE_RETURN_IF_ERROR(files->WriteMeta());
  }
  return files;
}

RingFiles::~RingFiles() {
  if (open_file_ >= 0) close(open_file_);
  close(lock_);
}

std::string RingFiles::PathOf(uint64_t segment) const {
  char name[32];
  std::snprintf(name, sizeof name, "/%016llx", static_cast<unsigned long long>(segment));
  return StrCat(folder_, name, kSuffix);
}

void RingFiles::Failed(const std::string& what, int error) {
  if (failures_++ == 0) {
    log::Warn("the ring's file cannot be kept; the ring goes on in memory alone",
              {{"file", what}, {"err", std::strerror(error)}});
  }
}

Status RingFiles::WriteMeta() {
  const std::string path = folder_ + "/meta";
  const std::string text = StrCat(kMagic, "\n", run_id_, "\n", interval_ms_, "\n");
  const int file =
      open((path + ".new").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool good = file >= 0 && WriteAll(file, text) && fsync(file) == 0;
  const int why = errno;
  if (file >= 0) close(file);
  good = good && std::rename((path + ".new").c_str(), path.c_str()) == 0;
  if (!good) return Unavailable(StrCat(path, ": ", std::strerror(why)));
  return {};
}

void RingFiles::SetInterval(int64_t interval_ms) {
  if (interval_ms <= 0 || interval_ms == interval_ms_) return;
  interval_ms_ = interval_ms;
  if (!WriteMeta().ok()) Failed(folder_ + "/meta", errno);
}

std::vector<RingFiles::Segment> RingFiles::Load() {
  std::vector<Segment> segments;
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = item.path().filename().string();
    if (!name.ends_with(kSuffix)) continue;
    uint64_t number = 0;
    const std::string_view digits = std::string_view(name).substr(0, name.size() - kSuffix.size());
    const auto [end, bad] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    if (bad != std::errc() || end != digits.data() + digits.size() || number == 0) continue;
    bool damaged = false;
    segments.push_back({number, ReadRingSegment(ReadAll(item.path().string()), &damaged)});
    // The end of the last file may be half a record: the agent was killed while it wrote.
    if (damaged) ++failures_;
  }
  std::ranges::sort(segments, {}, &Segment::number);
  return segments;
}

void RingFiles::Append(uint64_t segment, char kind, std::string_view payload) {
  std::string record;
  record.reserve(kHeaderBytes + payload.size());
  PutLittle(record, static_cast<uint32_t>(payload.size()));
  PutLittle(record, Checksum(kind, payload));
  record.push_back(kind);
  record += payload;
  const std::string path = PathOf(segment);
  const bool current = segment == open_segment_ && open_file_ >= 0;
  int file = current ? open_file_ : -1;
  if (file < 0) {
    file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return Failed(path, errno);
  }
  struct stat before{};
  const bool sized = fstat(file, &before) == 0;
  if (!WriteAll(file, record)) {
    const int why = errno;
    // Half a record would hide every later one.
    if (sized && ftruncate(file, before.st_size) != 0) (void)unlink(path.c_str());
    Failed(path, why);
  }
  if (current) return;
  if (kind == kFrame) {
    if (open_file_ >= 0) close(open_file_);
    open_file_ = file;
    open_segment_ = segment;
  } else {
    close(file);
  }
}

void RingFiles::Add(uint64_t segment, uint64_t sequence, std::string_view frame) {
  std::string payload;
  payload.reserve(8 + frame.size());
  PutLittle(payload, sequence);
  payload += frame;
  Append(segment, kFrame, payload);
}

void RingFiles::Done(uint64_t segment, std::span<const uint64_t> sequences) {
  std::string payload;
  for (const uint64_t sequence : sequences) PutLittle(payload, sequence);
  Append(segment, kDone, payload);
}

void RingFiles::Remove(uint64_t segment) {
  if (segment == open_segment_ && open_file_ >= 0) {
    close(open_file_);
    open_file_ = -1;
  }
  const std::string path = PathOf(segment);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) Failed(path, errno);
}

}  // namespace vedette::agent
