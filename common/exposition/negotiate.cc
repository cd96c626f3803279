#include "common/exposition/negotiate.h"

#include <array>
#include <charconv>
#include <vector>

#include "common/base/strings.h"

namespace vedette::exposition {
namespace {

struct Known {
  Protocol protocol;
  std::string_view name;
  std::string_view media;  // As in an Accept header and a Content-Type.
  bool escaping;           // The version that knows UTF-8 names.
};

constexpr std::string_view kProtoMedia =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

constexpr std::array<Known, 5> kKnown = {{
    {Protocol::kPrometheusProto, "PrometheusProto", kProtoMedia, true},
    {Protocol::kOpenMetrics1_0_0, "OpenMetricsText1.0.0",
     "application/openmetrics-text;version=1.0.0", true},
    {Protocol::kOpenMetrics0_0_1, "OpenMetricsText0.0.1",
     "application/openmetrics-text;version=0.0.1", false},
    {Protocol::kText1_0_0, "PrometheusText1.0.0", "text/plain;version=1.0.0", true},
    {Protocol::kText0_0_4, "PrometheusText0.0.4", "text/plain;version=0.0.4", false},
}};

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

// "text/plain; version=0.0.4; q=0.5", in pieces.
struct MediaType {
  std::string type;
  std::string version;
  std::string proto;
  std::string encoding;
  std::string escaping;
  double quality = 1;
};

MediaType ParseMediaType(std::string_view text) {
  MediaType media;
  const std::vector<std::string_view> pieces = Split(text, ';');
  media.type = Lower(Trim(pieces[0]));
  for (size_t i = 1; i < pieces.size(); ++i) {
    const std::string_view piece = Trim(pieces[i]);
    const size_t equals = piece.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name = Lower(Trim(piece.substr(0, equals)));
    std::string_view value = Trim(piece.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    if (name == "version") media.version = value;
    if (name == "proto") media.proto = value;
    if (name == "encoding") media.encoding = Lower(value);
    if (name == "escaping") media.escaping = Lower(value);
    if (name == "q") std::from_chars(value.data(), value.data() + value.size(), media.quality);
  }
  return media;
}

// Which protocol a media type means; `exact` wants a version that we know.
std::optional<Protocol> ProtocolOf(const MediaType& media, bool exact) {
  if (media.type == "application/vnd.google.protobuf") {
    if (media.proto == "io.prometheus.client.MetricFamily" && media.encoding == "delimited") {
      return Protocol::kPrometheusProto;
    }
    return std::nullopt;
  }
  if (media.type == "application/openmetrics-text") {
    if (media.version == "1.0.0") return Protocol::kOpenMetrics1_0_0;
    if (!exact || media.version == "0.0.1" || media.version.empty()) {
      return Protocol::kOpenMetrics0_0_1;
    }
  }
  if (media.type == "text/plain") {
    if (media.version == "1.0.0") return Protocol::kText1_0_0;
    if (!exact || media.version == "0.0.4" || media.version.empty()) return Protocol::kText0_0_4;
  }
  return std::nullopt;
}

}  // namespace

std::string_view ProtocolName(Protocol protocol) {
  for (const Known& known : kKnown) {
    if (known.protocol == protocol) return known.name;
  }
  return "";
}

std::optional<Protocol> ProtocolFromName(std::string_view name) {
  for (const Known& known : kKnown) {
    if (known.name == name) return known.protocol;
  }
  return std::nullopt;
}

std::string AcceptHeader(std::span<const Protocol> protocols, std::string_view escaping) {
  std::string out;
  // The first gets the highest weight; whatever else there is comes last with the lowest.
  size_t weight = protocols.size() + 1;
  for (const Protocol protocol : protocols) {
    for (const Known& known : kKnown) {
      if (known.protocol != protocol) continue;
      StrAppend(out, known.media);
      if (known.escaping && !escaping.empty()) StrAppend(out, ";escaping=", escaping);
      StrAppend(out, ";q=0.", weight, ",");
    }
    --weight;
  }
  StrAppend(out, "*/*;q=0.", weight);
  return out;
}

Result<Protocol> ProtocolOfContentType(std::string_view content_type,
                                       std::optional<Protocol> fallback) {
  if (Trim(content_type).empty()) {
    if (fallback) return *fallback;
    return InvalidArgument(
        "the answer has no Content-Type, and the job has no fallback_scrape_protocol");
  }
  const std::optional<Protocol> protocol =
      ProtocolOf(ParseMediaType(content_type), /*exact=*/false);
  if (protocol) return *protocol;
  if (fallback) return *fallback;
  return InvalidArgument(StrCat("the answer's Content-Type is ", Quoted(content_type),
                                ", which is no format of metrics, and the job has no "
                                "fallback_scrape_protocol"));
}

Negotiated NegotiateAccept(std::string_view accept) {
  Negotiated best;
  double best_quality = 0;
  std::string escaping;
  for (const std::string_view piece : Split(accept, ',')) {
    const MediaType media = ParseMediaType(piece);
    const std::optional<Protocol> protocol = ProtocolOf(media, /*exact=*/true);
    if (!protocol || media.quality <= best_quality) continue;
    best_quality = media.quality;
    best.protocol = *protocol;
    escaping = media.escaping;
  }
  bool knows_escaping = false;
  for (const Known& known : kKnown) {
    if (known.protocol != best.protocol) continue;
    knows_escaping = known.escaping;
    for (const char c : known.media) {
      best.content_type.push_back(c);
      if (c == ';') best.content_type.push_back(' ');
    }
  }
  best.allow_utf8 = knows_escaping && escaping == "allow-utf-8";
  if (best.protocol != Protocol::kPrometheusProto) best.content_type.append("; charset=utf-8");
  if (knows_escaping) {
    StrAppend(best.content_type, "; escaping=", best.allow_utf8 ? "allow-utf-8" : "underscores");
  }
  return best;
}

}  // namespace vedette::exposition
