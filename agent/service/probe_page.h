#pragma once

#include "agent/mysql/targets.h"
#include "agent/probe/module.h"
#include "common/http/router.h"

namespace vedette::agent {

struct ProbePageOptions {
  ProbeModules modules;
  // Null: nobody gave a my.cnf. Outlives the router.
  MysqlTargets* mysql = nullptr;
  // Whether a request that has neither module nor auth_module is one for MySQL.
  bool mysql_first = false;
};

// GET /probe for a real Prometheus, as two exporters have it under one path:
//   ?module=&target=[&debug=true]              blackbox_exporter's
//   ?auth_module=&target=[&collect[]=NAME...]  mysqld_exporter's
// The scrape's own timeout (X-Prometheus-Scrape-Timeout-Seconds), less a little, bounds the probe.
void AddProbePage(http::Router& router, ProbePageOptions options);

}  // namespace vedette::agent
