#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "agent/host/prom_file.h"
#include "common/base/strings.h"
#include "common/log/log.h"

namespace vedette::agent {
namespace {

// The directories a pattern stands for; the pattern itself where nothing matches, so that the error
// names it.
std::vector<std::string> Directories(const std::string& pattern) {
  glob_t found = {};
  std::vector<std::string> out;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) out.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
  if (out.empty()) out.push_back(pattern);
  return out;
}

Result<std::vector<MetricFamily>> ReadPromFile(const std::string& path) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return ParsePromFile(text);
}

// Where samples of a family differ in their labels, those that lack one show it empty.
void FillBlanks(const MetricFamily& family, MetricSink& sink) {
  std::set<std::string, std::less<>> names;
  for (const FamilySample& sample : family.samples) {
    for (const Label& label : sample.labels) {
      if (label.name != kMetricNameLabel && label.name != "le" && label.name != "quantile") {
        names.emplace(label.name);
      }
    }
  }
  for (const std::string& name : names) sink.AddBlank(family.name, name);
}

class Textfiles {
 public:
  Status Collect(const Host& host, MetricSink& sink) {
    bool failed = false;
    std::map<std::string, double> mtimes;
    std::vector<MetricFamily> families;
    std::map<std::string, std::pair<size_t, std::string>> by_name;  // Index, and its files.
    for (const std::string& pattern : host.options.textfile_directories) {
      for (const std::string& directory : Directories(pattern)) {
        struct stat info = {};
        if (stat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
          failed = true;
          Complain(directory, "is no directory that can be read");
          continue;
        }
        for (const std::string& file : ListDirectory(directory)) {
          if (!file.ends_with(".prom")) continue;
          const std::string path =
              StrCat(directory, directory.ends_with('/') ? "" : "/", file);
          auto read = ReadPromFile(path);
          struct stat of_file = {};
          if (!read.ok() || stat(path.c_str(), &of_file) != 0) {
            failed = true;
            Complain(path, read.ok() ? "vanished" : read.status().message());
            continue;
          }
          complained_.erase(path);
          mtimes[path] = static_cast<double>(of_file.st_mtim.tv_sec) +
                         static_cast<double>(of_file.st_mtim.tv_nsec) / 1e9;
          for (MetricFamily& family : *read) Merge(path, std::move(family), families, by_name);
        }
      }
    }
    for (MetricFamily& family : families) {
      if (family.metadata.help.empty()) {
        family.metadata.help = StrCat("Metric read from ", by_name[family.name].second);
      }
      FillBlanks(family, sink);
      sink.AddFamily(std::move(family));
    }
    if (!mtimes.empty()) {
      sink.Family("node_textfile_mtime_seconds", MetricType::kGauge,
                  "Unixtime mtime of textfiles successfully read.");
      for (const auto& [path, seconds] : mtimes) sink.Add({{"file", path}}, seconds);
    }
    sink.Gauge("node_textfile_scrape_error",
               "1 if there was an error opening or reading a file, 0 otherwise", failed ? 1 : 0);
    return {};
  }

 private:
  static void Merge(const std::string& path, MetricFamily family,
                    std::vector<MetricFamily>& families,
                    std::map<std::string, std::pair<size_t, std::string>>& by_name) {
    const auto [at, is_new] = by_name.try_emplace(family.name, families.size(), path);
    if (is_new) {
      families.push_back(std::move(family));
      return;
    }
    if (!at->second.second.ends_with(path)) StrAppend(at->second.second, ", ", path);
    MetricFamily& into = families[at->second.first];
    if (into.metadata.help.empty()) into.metadata.help = family.metadata.help;
    std::ranges::move(family.samples, std::back_inserter(into.samples));
  }

  // Once for each file, until it is good again: a broken file is read at every scrape.
  void Complain(const std::string& path, std::string_view why) {
    if (complained_.insert(path).second) {
      log::Warn("a text file cannot be used", {{"file", path}, {"err", why}});
    }
  }

  std::set<std::string> complained_;
};

}  // namespace

void AddTextfileCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"textfile", "*.prom in --collector.textfile.directory"},
      [host, files = std::make_shared<Textfiles>()](MetricSink& sink) {
        return files->Collect(*host, sink);
      });
}

}  // namespace vedette::agent
