#pragma once

#include <span>

#include "agent/mysql/scrapers.h"

namespace vedette::agent {

// The scrapers by what they ask: SHOW and the server's own tables, information_schema,
// performance_schema, accounts. One function a file.
std::span<const MysqlScraper> StatusScrapers();
std::span<const MysqlScraper> InfoSchemaScrapers();
std::span<const MysqlScraper> PerfSchemaScrapers();
std::span<const MysqlScraper> AccountScrapers();

}  // namespace vedette::agent
