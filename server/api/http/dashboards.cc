#include "server/api/http/dashboards.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "server/api/http/dashboard_text.h"

namespace vedette::api {
namespace {

namespace fs = std::filesystem;

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

struct DashboardsDoor::Dashboard {
  std::string path;
  std::string problem;  // Not empty: the rest is.
  std::string uid;
  std::string title;
  std::string folder;
  std::vector<std::string> tags;
  std::string text;  // As it lies on disk.
  // The part of `text` that is the dashboard: files may hold what Grafana's API answers, with the
  // dashboard inside.
  std::string inner;
  uintmax_t size = 0;
  fs::file_time_type changed;

  const std::string& json() const { return inner.empty() ? text : inner; }
};

DashboardsDoor::DashboardsDoor(std::string directory) : directory_(std::move(directory)) {}
DashboardsDoor::~DashboardsDoor() = default;

Result<DashboardsDoor::List> DashboardsDoor::Scan(std::vector<std::string>* problems) const {
  List list;
  if (directory_.empty()) return list;
  std::error_code error;
  std::map<std::string, std::shared_ptr<const Dashboard>> seen;
  const auto options = fs::directory_options::skip_permission_denied;
  fs::recursive_directory_iterator entry(directory_, options, error);
  if (error) return Unavailable(StrCat("dashboards: ", directory_, ": ", error.message()));
  MutexLock lock(mu_);
  for (; entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (error) break;
    const fs::path& path = entry->path();
    if (path.extension() != ".json" || !entry->is_regular_file(error)) continue;
    if (seen.size() >= kMaxDashboards) {
      problems->push_back(
          StrCat(directory_, ": more than ", kMaxDashboards, " files; the rest is left out"));
      break;
    }
    const std::string name = path.string();
    const uintmax_t size = entry->file_size(error);
    const fs::file_time_type changed = entry->last_write_time(error);
    const auto known = cache_.find(name);
    if (known != cache_.end() && known->second->size == size && known->second->changed == changed) {
      seen[name] = known->second;
      continue;
    }
    auto made = std::make_shared<Dashboard>();
    made->path = name;
    made->size = size;
    made->changed = changed;
    const auto read = [&]() -> std::string {
      if (size > static_cast<uintmax_t>(kMaxDashboardBytes)) {
        return StrCat("larger than ", kMaxDashboardBytes, " bytes");
      }
      std::ifstream in(path, std::ios::binary);
      if (!in) return "cannot be read";
      made->text.assign(std::istreambuf_iterator<char>(in), {});
      const nlohmann::json whole = nlohmann::json::parse(made->text, nullptr, false);
      if (whole.is_discarded()) return "not JSON";
      if (!whole.is_object()) return "not a JSON object";
      const auto wrapped = whole.find("dashboard");
      const bool is_wrapped = wrapped != whole.end() && wrapped->is_object() &&
                              !whole.contains("panels") && !whole.contains("rows");
      const nlohmann::json& doc = is_wrapped ? *wrapped : whole;
      std::optional<DashboardFacts> facts = FactsOf(doc);
      if (!facts) return kNoDashboard;
      if (is_wrapped) made->inner = doc.dump();
      made->uid = facts->uid.empty() ? path.stem().string() : std::move(facts->uid);
      made->title = facts->title.empty() ? path.stem().string() : std::move(facts->title);
      made->tags = std::move(facts->tags);
      const fs::path folder = path.parent_path().lexically_relative(directory_);
      if (folder != ".") made->folder = folder.string();
      return "";
    };
    made->problem = read();
    if (!made->problem.empty()) {
      made->problem = StrCat(name, ": ", made->problem);
      made->text.clear();
    }
    seen[name] = std::move(made);
  }
  cache_ = std::move(seen);
  std::set<std::string> uids;
  for (const auto& [name, dashboard] : cache_) {
    if (!dashboard->problem.empty()) {
      problems->push_back(dashboard->problem);
    } else if (!uids.insert(dashboard->uid).second) {
      problems->push_back(StrCat(name, ": uid \"", dashboard->uid, "\" is taken by another file"));
    } else {
      list.push_back(dashboard);
    }
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return Lower(a->title) < Lower(b->title); });
  return list;
}

Result<std::shared_ptr<const DashboardsDoor::Dashboard>> DashboardsDoor::Find(
    const std::string& uid) const {
  std::vector<std::string> problems;
  VEDETTE_ASSIGN_OR_RETURN(const List list, Scan(&problems));
  for (const auto& dashboard : list) {
    if (dashboard->uid == uid) return dashboard;
  }
  // Old addresses have a slug where a uid is now.
  for (const auto& dashboard : list) {
    if (DashboardSlug(dashboard->title) == uid) return dashboard;
  }
  for (const std::string& problem : problems) {
    if (problem.find(StrCat("/", uid, ".json:")) != std::string::npos) return NotFound(problem);
  }
  return NotFound(StrCat("dashboard \"", uid, "\" not found"));
}

// What went wrong in Grafana's words: {"message":"..."}.
static Reply Sorry(const Status& status) {
  Reply reply = Failure(status);
  reply.body.clear();
  JsonWriter(&reply.body).BeginObject().Key("message").String(status.message()).EndObject();
  return reply;
}

static Status NoDirectory() {
  return NotFound("there is no directory for dashboards: name one with --web.dashboards");
}

Reply DashboardsDoor::Search(const Call& call) const {
  std::vector<std::string> problems;
  const Result<List> list = Scan(&problems);
  if (!list.ok()) return Sorry(list.status());
  const Result<uint64_t> limit = LimitOf(call);
  if (!limit.ok()) return Sorry(limit.status());
  const std::string words = Lower(call.Get("query").value_or(""));
  const std::vector<std::string_view> tags = call.All("tag");
  Reply reply;
  JsonWriter json(&reply.body);
  json.BeginArray();
  uint64_t count = 0;
  for (const auto& d : *list) {
    if (*limit != 0 && count >= *limit) break;
    if (Lower(d->title).find(words) == std::string::npos) continue;
    const bool tagged = std::all_of(tags.begin(), tags.end(), [&](std::string_view tag) {
      return std::find(d->tags.begin(), d->tags.end(), tag) != d->tags.end();
    });
    if (!tagged) continue;
    ++count;
    json.BeginObject();
    json.Key("uid").String(d->uid);
    json.Key("title").String(d->title);
    json.Key("url").String(StrCat("/d/", d->uid, "/", DashboardSlug(d->title)));
    json.Key("type").String("dash-db");
    json.Key("tags").BeginArray();
    for (const std::string& tag : d->tags) json.String(tag);
    json.EndArray();
    json.Key("isStarred").Bool(false);
    if (!d->folder.empty()) json.Key("folderTitle").String(d->folder);
    json.EndObject();
  }
  json.EndArray();
  // Files that are no dashboards are said here: the list itself has Grafana's shape.
  for (size_t i = 0; i < problems.size() && i < 10; ++i) {
    std::string text = problems[i];
    for (char& c : text) {
      if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126) c = '?';
    }
    reply.headers.emplace_back("X-Vedette-Problem", std::move(text));
  }
  return reply;
}

Reply DashboardsDoor::ByUid(const Call& call) const {
  const auto found = Find(std::string(call.PathParam("uid")));
  if (!found.ok()) return Sorry(found.status());
  Reply reply;
  JsonWriter json(&reply.body);
  json.BeginObject().Key("meta").BeginObject();
  json.Key("type").String("db");
  json.Key("slug").String(DashboardSlug((*found)->title));
  json.Key("url").String(StrCat("/d/", (*found)->uid, "/", DashboardSlug((*found)->title)));
  json.Key("folderTitle").String((*found)->folder);
  json.Key("canSave").Bool(false);
  json.Key("canEdit").Bool(false);
  json.Key("provisioned").Bool(true);
  json.EndObject().Key("dashboard").Raw((*found)->json()).EndObject();
  return reply;
}

Reply DashboardsDoor::Raw(const Call& call) const {
  const auto found = Find(std::string(call.PathParam("uid")));
  if (!found.ok()) return Sorry(found.status());
  Reply reply;
  reply.body = (*found)->text;
  reply.headers.emplace_back("Content-Disposition", "attachment");
  return reply;
}

Reply DashboardsDoor::Save(const Call& call) const {
  if (directory_.empty()) return Sorry(NoDirectory());
  const Result<DashboardUpload> upload = ReadDashboardUpload(call.body);
  if (!upload.ok()) return Sorry(upload.status());
  return Keep(*upload);
}

Reply DashboardsDoor::Put(const Call& call) const {
  if (directory_.empty()) return Sorry(NoDirectory());
  const Result<DashboardUpload> upload =
      ReadDashboard(call.body, std::string(call.PathParam("uid")));
  if (!upload.ok()) return Sorry(upload.status());
  return Keep(*upload);
}

Reply DashboardsDoor::Delete(const Call& call) const {
  const std::string uid(call.PathParam("uid"));
  const auto found = Find(uid);
  if (!found.ok()) return Sorry(found.status());
  // By its uid alone: an old address must not take a dashboard away.
  if ((*found)->uid != uid) return Sorry(NotFound(StrCat("dashboard \"", uid, "\" not found")));
  std::error_code error;
  if (!fs::remove((*found)->path, error)) {
    return Sorry(Unavailable(StrCat((*found)->path, ": ", error.message())));
  }
  Reply reply;
  JsonWriter json(&reply.body);
  json.BeginObject();
  json.Key("title").String((*found)->title);
  json.Key("message").String(StrCat("Dashboard ", (*found)->title, " deleted"));
  json.Key("uid").String(uid);
  json.EndObject();
  return reply;
}

Reply DashboardsDoor::Keep(const DashboardUpload& upload) const {
  std::vector<std::string> problems;
  const Result<List> list = Scan(&problems);
  if (!list.ok()) return Sorry(list.status());
  const auto known = std::find_if(list->begin(), list->end(),
                                  [&](const auto& d) { return d->uid == upload.uid; });
  fs::path path = fs::path(directory_) / (upload.uid + ".json");
  if (known != list->end()) {
    if (!upload.overwrite) {
      Reply reply = Sorry(AlreadyExists(
          StrCat("dashboard \"", upload.uid, "\" is there already; send \"overwrite\": true")));
      reply.status = 412;  // As Grafana answers.
      return reply;
    }
    path = (*known)->path;
  } else if (list->size() >= kMaxDashboards) {
    return Sorry(ResourceExhausted(StrCat("there are ", kMaxDashboards, " dashboards already")));
  }
  // Readers see the old file or the new one, never a part.
  const fs::path part = path.string() + ".part";
  std::error_code error;
  {
    std::ofstream out(part, std::ios::binary | std::ios::trunc);
    out << upload.text;
    out.flush();
    if (!out) {
      fs::remove(part, error);
      return Sorry(Unavailable(StrCat(path.string(), ": cannot be written")));
    }
  }
  fs::rename(part, path, error);
  if (error) return Sorry(Unavailable(StrCat(path.string(), ": ", error.message())));
  Reply reply;
  JsonWriter json(&reply.body);
  json.BeginObject();
  json.Key("uid").String(upload.uid);
  json.Key("url").String(StrCat("/d/", upload.uid, "/", DashboardSlug(upload.title)));
  json.Key("slug").String(DashboardSlug(upload.title));
  json.Key("status").String("success");
  json.Key("version").Int(1);
  json.EndObject();
  return reply;
}

}  // namespace vedette::api
