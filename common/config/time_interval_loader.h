#pragma once

#include "common/config/decoder.h"
#include "common/config/time_interval.h"

// Between alertmanager.cc and time_interval_loader.cc only.
namespace vedette::config {

void ReadTimeInterval(const Value& item, TimeInterval& out);

}  // namespace vedette::config
