#pragma once

#include <optional>
#include <vector>

#include "common/model/metric_family.h"
#include "common/model/snapshot.h"

namespace vedette::agent {

// All sources of a snapshot as one exposition, in order of family names. Several sources may have a
// family of one name (every Python application has process_cpu_seconds_total): what comes from an
// application, or from another MySQL than the one called "mysql", then gets the label
// source="NAME", so that no series is there twice. Over Pull sources stay apart and need no label.
std::vector<MetricFamily> MergedFamilies(const Snapshot& snapshot);

// The same without a copy, where no family comes from two sources and none needs a label: pointers
// into the snapshot, by name. Nothing where MergedFamilies has to be asked.
std::optional<std::vector<const MetricFamily*>> BorrowedFamilies(const Snapshot& snapshot);

}  // namespace vedette::agent
