#pragma once

#include "common/config/decoder.h"
#include "common/config/prometheus.h"

// The top-level sections of prometheus.yml that say where things go, not what is scraped.
// Between prometheus.cc and prometheus_sections.cc only.
namespace vedette::config {

void ReadAlerting(const Value& value, AlertingConfig& out);
void ReadRemoteWrite(const Value& value, std::vector<RemoteWriteConfig>& out);
void ReadRemoteRead(const Value& value, std::vector<RemoteReadConfig>& out);
void ReadStorage(const Value& value, StorageConfig& out);
void ReadTracing(const Value& value, TracingConfig& out);
void ReadOtlp(const Value& value, OtlpConfig& out);

}  // namespace vedette::config
