#include "agent/mysql/scrapers.h"

#include <vector>

#include "agent/mysql/scraper_groups.h"

namespace vedette::agent {

std::span<const MysqlScraper> AllMysqlScrapers() {
  static const auto* all = [] {
    auto* out = new std::vector<MysqlScraper>();
    for (const auto group :
         {StatusScrapers(), InfoSchemaScrapers(), PerfSchemaScrapers(), AccountScrapers()}) {
      out->insert(out->end(), group.begin(), group.end());
    }
    return out;
  }();
  return *all;
}

}  // namespace vedette::agent
