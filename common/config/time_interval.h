#pragma once

#include <string>
#include <vector>

namespace vedette::config {

// Both ends belong to the range.
struct IntRange {
  int begin = 0;
  int end = 0;

  bool operator==(const IntRange&) const = default;
};

// A moment is inside when it matches one entry of every list that is not empty.
struct TimeInterval {
  struct MinuteRange {
    int start = 0;  // Minutes since midnight; 1440 is 24:00. The end is not inside.
    int end = 0;

    bool operator==(const MinuteRange&) const = default;
  };

  std::vector<MinuteRange> times;
  std::vector<IntRange> weekdays;       // 0 is Sunday.
  std::vector<IntRange> days_of_month;  // 1..31, or -1..-31 counted from the month's end.
  std::vector<IntRange> months;         // 1..12
  std::vector<IntRange> years;
  std::string location = "UTC";  // IANA name, or Local.

  bool operator==(const TimeInterval&) const = default;
};

// Active while any of its intervals is.
struct NamedTimeInterval {
  std::string name;
  std::vector<TimeInterval> intervals;

  bool operator==(const NamedTimeInterval&) const = default;
};

}  // namespace vedette::config
