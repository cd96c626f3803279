#pragma once

#include <span>
#include <string_view>

#include "agent/collector/collector.h"
#include "agent/mysql/connection.h"
#include "agent/mysql/mysql.h"
#include "common/base/status.h"

namespace vedette::agent {

// One of mysqld_exporter's scrapers: a query or two, and the families it makes of them.
struct MysqlScraper {
  std::string_view name;
  bool by_default;
  Status (*scrape)(MysqlConnection& connection, const MysqlOptions& options, MetricSink& sink);
};

std::span<const MysqlScraper> AllMysqlScrapers();

}  // namespace vedette::agent
