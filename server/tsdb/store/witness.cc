#include "server/tsdb/store/witness.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "common/base/strings.h"

namespace vedette::tsdb {
namespace {

constexpr uint64_t kMagic = 0x31737365'6e746956;  // "Vitness1"
constexpr size_t kWords = 6;
using Words = std::array<uint64_t, kWords>;

uint64_t CheckOf(const Words& w) { return XXH3_64bits(w.data(), (kWords - 1) * sizeof(uint64_t)); }

}  // namespace

Witness::~Witness() {
  MutexLock lock(mu_);
  if (file_ >= 0) close(file_);
}

Result<std::optional<WitnessRecord>> Witness::Read(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    if (errno == ENOENT) return std::optional<WitnessRecord>();
    return Unavailable(StrCat(path, ": ", strerror(errno)));
  }
  Words w{};
  const ssize_t n = pread(file, w.data(), sizeof w, 0);
  close(file);
  if (n != static_cast<ssize_t>(sizeof w) || w[0] != kMagic || w[kWords - 1] != CheckOf(w)) {
    return DataLoss(StrCat(path, " is damaged"));
  }
  return std::optional<WitnessRecord>({w[1], w[2], w[3], w[4]});
}

std::optional<uint64_t> Witness::HashOf(const std::string& name, uint64_t bytes) {
  const int file = open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::vector<char> buffer(1 << 16);
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                        XXH3_freeState);
  XXH3_64bits_reset(state.get());
  uint64_t left = bytes;
  while (left > 0) {
    const ssize_t n = read(file, buffer.data(), std::min<uint64_t>(left, buffer.size()));
    if (n <= 0) break;
    XXH3_64bits_update(state.get(), buffer.data(), static_cast<size_t>(n));
    left -= static_cast<uint64_t>(n);
  }
  close(file);
  if (left > 0) return std::nullopt;
  return XXH3_64bits_digest(state.get());
}

void Witness::Start(const WitnessRecord& record) {
  MutexLock lock(mu_);
  if (file_ < 0) file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  record_ = record;
  Put();
}

void Witness::SetSequence(uint64_t sequence) {
  MutexLock lock(mu_);
  if (sequence <= record_.sequence) return;  // Another thread was faster.
  record_.sequence = sequence;
  Put();
}

uint64_t Witness::sequence() {
  MutexLock lock(mu_);
  return record_.sequence;
}

std::string Witness::Missed(uint64_t reached, uint64_t acknowledged) {
  if (reached >= acknowledged) return "";
  return StrCat("the log ends ", acknowledged - reached,
                " changes before what was acknowledged: it was cut off, by a power cut or by hand");
}

void Witness::SetManifest(uint64_t number, uint64_t bytes, uint64_t hash) {
  MutexLock lock(mu_);
  record_.manifest = number;
  record_.manifest_bytes = bytes;
  record_.manifest_hash = hash;
  Put();
}

void Witness::Put() {
  if (file_ < 0) return;
  Words w = {kMagic, record_.sequence, record_.manifest, record_.manifest_bytes,
             record_.manifest_hash, 0};
  w[kWords - 1] = CheckOf(w);
  if (pwrite(file_, w.data(), sizeof w, 0) == static_cast<ssize_t>(sizeof w)) return;
  // Half a record would cry damage at the next start: rather none.
  close(file_);
  unlink(path_.c_str());
  file_ = -1;
}

}  // namespace vedette::tsdb
