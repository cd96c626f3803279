#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/api/http/call.h"

namespace vedette::api {

// Limits of what readers may keep here.
inline constexpr size_t kMaxPreferenceBytes = 16 << 10;
inline constexpr size_t kMaxPreferenceFiles = 2000;

// How a reader likes the page (theme, time zone, density), so that it is the same in the next browser: one small
// JSON file for each user that basic auth knows, else for each browser by the id that it has given itself.
//
//   GET  /api/v1/preferences?profile=ID    what is kept; {} if nothing
//   POST /api/v1/preferences?profile=ID    keeps the body, a JSON object
//
// The server does not look into the object. Where kMaxPreferenceFiles are kept, the one that was changed longest
// ago makes room. A viewer may keep its own too. Thread-safe.
class PreferencesDoor {
 public:
  // The directory is made when something is first kept.
  explicit PreferencesDoor(std::string directory) : directory_(std::move(directory)) {}

  // `user` is empty where nobody has signed in.
  Reply Read(const Call& call, std::string_view user) const;
  Reply Write(const Call& call, std::string_view user) const VEDETTE_EXCLUDES(mu_);

 private:
  Status MakeRoom() const VEDETTE_REQUIRES(mu_);

  const std::string directory_;
  mutable Mutex mu_;  // Held while files are written.
};

}  // namespace vedette::api
