#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace vedette::exposition {

// The protocols of scrape_protocols, under Prometheus' names.
enum class Protocol : uint8_t {
  kPrometheusProto,   // PrometheusProto
  kOpenMetrics1_0_0,  // OpenMetricsText1.0.0
  kOpenMetrics0_0_1,  // OpenMetricsText0.0.1
  kText1_0_0,         // PrometheusText1.0.0
  kText0_0_4,         // PrometheusText0.0.4
};

std::string_view ProtocolName(Protocol protocol);
std::optional<Protocol> ProtocolFromName(std::string_view name);

// The Accept header of a scrape: protocols from the most to the least wanted, with quality values,
// as Prometheus writes it. `escaping` is the metric_name_escaping_scheme ("allow-utf-8",
// "underscores", "dots", "values") for the protocols that know it.
std::string AcceptHeader(std::span<const Protocol> protocols, std::string_view escaping);

// Which parser a body needs. A Content-Type that is missing, unreadable or of no known format is an
// error unless there is a fallback.
Result<Protocol> ProtocolOfContentType(std::string_view content_type,
                                       std::optional<Protocol> fallback);

// What a page of metrics answers with.
struct Negotiated {
  Protocol protocol = Protocol::kText0_0_4;
  std::string content_type;
  bool allow_utf8 = false;  // The caller reads quoted names.
};
// The best of what an Accept header asks for; text 0.0.4 for one that asks for nothing we know.
Negotiated NegotiateAccept(std::string_view accept);

}  // namespace vedette::exposition
