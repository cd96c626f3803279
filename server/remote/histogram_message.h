#pragma once

#include <cstdint>
#include <string>

#include "common/model/histogram.h"

namespace vedette::remote {

// Appends the fields of a prometheus.Histogram (the message is the same in remote write 1.0, 2.0
// and remote read) in its float form: counts as doubles. The counts of a histogram without
// observations are written although they are zero, because their presence is what says "float".
void WriteHistogramMessage(std::string* out, int64_t t_ms, const Histogram& h);

}  // namespace vedette::remote
