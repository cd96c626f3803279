#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "server/remote/send/piece.h"
#include "server/storage/queryable.h"

namespace vedette::remote {

// The label fields of a prometheus.TimeSeries.
std::string EncodeLabelsV1(const Labels& labels);

// prometheus.WriteRequest (remote write 1.0), before compression: one series a piece, in the order
// of the pieces.
std::string EncodeRequestV1(std::span<const Piece> pieces);

// prometheus.WriteRequest with metadata only.
std::string EncodeMetadataV1(std::span<const storage::NamedMetadata> metadata);

// io.prometheus.write.v2.Request (remote write 2.0), before compression: labels, help and unit are
// references into one table of strings. `metadata_of` says what is known of a metric name; it is
// asked once per name and request.
using MetadataOf = std::function<std::optional<Metadata>(std::string_view metric_name)>;
std::string EncodeRequestV2(std::span<const Piece> pieces, const MetadataOf& metadata_of);

}  // namespace vedette::remote
