#include "server/api/http/preferences.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/base/strings.h"
#include "server/api/http/json.h"

namespace vedette::api {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxUserBytes = 100;

// The file of a user or of a browser. Users are written in hexadecimal: a name may be anything.
Result<std::string> NameOf(const Call& call, std::string_view user) {
  if (!user.empty()) {
    if (user.size() > kMaxUserBytes) {
      return InvalidArgument(StrCat("a user's name of more than ", kMaxUserBytes, " bytes"));
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string name = "user-";
    for (const char c : user) {
      name += kDigits[static_cast<unsigned char>(c) >> 4];
      name += kDigits[static_cast<unsigned char>(c) & 15];
    }
    return name + ".json";
  }
  const std::string profile(call.Get("profile").value_or(""));
  const bool plain = std::all_of(profile.begin(), profile.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
  });
  if (profile.size() < 16 || profile.size() > 64 || !plain) {
    return InvalidArgument("want 16 to 64 letters and digits");
  }
  return StrCat("browser-", profile, ".json");
}

}  // namespace

Reply PreferencesDoor::Read(const Call& call, std::string_view user) const {
  const Result<std::string> name = NameOf(call, user);
  if (!name.ok()) return BadParameter("profile", name.status());
  std::ifstream in(fs::path(directory_) / *name, std::ios::binary);
  std::string text;
  if (in) text.assign(std::istreambuf_iterator<char>(in), {});
  // What lies there may have been touched by hand.
  const bool good = text.size() <= kMaxPreferenceBytes &&
                    nlohmann::json::parse(text, nullptr, false).is_object();
  return Success([&](JsonWriter& json) { json.Raw(good ? text : "{}"); });
}

Reply PreferencesDoor::Write(const Call& call, std::string_view user) const {
  const Result<std::string> name = NameOf(call, user);
  if (!name.ok()) return BadParameter("profile", name.status());
  if (call.body.size() > kMaxPreferenceBytes) {
    return Failure(InvalidArgument(
        StrCat("preferences of more than ", kMaxPreferenceBytes, " bytes")));
  }
  if (!nlohmann::json::parse(call.body, nullptr, false).is_object()) {
    return Failure(InvalidArgument("preferences: want a JSON object"));
  }
  MutexLock lock(mu_);
  const fs::path path = fs::path(directory_) / *name;
  std::error_code error;
  fs::create_directories(directory_, error);
  if (error) return Failure(Unavailable(StrCat(directory_, ": ", error.message())));
  if (!fs::exists(path, error)) {
    if (const Status status = MakeRoom(); !status.ok()) return Failure(status);
  }
  // Readers see the old file or the new one, never a part.
  const fs::path part = path.string() + ".part";
  {
    std::ofstream out(part, std::ios::binary | std::ios::trunc);
    out << call.body;
    out.flush();
    if (!out) {
      fs::remove(part, error);
      return Failure(Unavailable(StrCat(path.string(), ": cannot be written")));
    }
  }
  fs::rename(part, path, error);
  if (error) return Failure(Unavailable(StrCat(path.string(), ": ", error.message())));
  return Success([&](JsonWriter& json) { json.Raw("{}"); });
}

Status PreferencesDoor::MakeRoom() const {
  std::error_code error;
  size_t count = 0;
  fs::path oldest;
  fs::file_time_type when = fs::file_time_type::max();
  for (fs::directory_iterator entry(directory_, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    const fs::file_time_type changed = entry->last_write_time(gone);
    if (gone) continue;
    ++count;
    if (changed < when) {
      when = changed;
      oldest = entry->path();
    }
  }
  if (!error && count >= kMaxPreferenceFiles) fs::remove(oldest, error);
  if (error) return Unavailable(StrCat(directory_, ": ", error.message()));
  return {};
}

}  // namespace vedette::api
