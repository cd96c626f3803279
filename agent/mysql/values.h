#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/collector/collector.h"
#include "agent/mysql/connection.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"

// What all scrapers do with a server's answer: text to numbers and names, columns to families.
namespace vedette::agent {

inline constexpr MetricType kC = MetricType::kCounter;
inline constexpr MetricType kG = MetricType::kGauge;
inline constexpr MetricType kU = MetricType::kUnknown;
// performance_schema counts time in picoseconds.
inline constexpr double kPicoseconds = 1e12;

using Row = std::vector<std::optional<std::string>>;

std::string Lower(std::string_view text);
// What a metric name may not have becomes an underscore.
std::string NamePart(std::string_view text, bool lower = true);
// Nothing where `text` is not wholly one finite number.
std::optional<double> Number(std::string_view text);
// A status or variable as a number: words that mean yes and no are 1 and 0, a date is Unix time.
std::optional<double> StatusValue(const std::optional<std::string>& text);
double NumberOr0(const std::optional<std::string>& text);
const std::string& Text(const std::optional<std::string>& text);
// -1 where the answer has no such column. `name` in lower case.
int ColumnOf(const MysqlRows& rows, std::string_view name);
// The cell's text, "" where the row has no such column.
const std::string& Cell(const MysqlRows& rows, const Row& row, std::string_view column);

// One value of a row, and where it goes.
struct Field {
  const char* column;  // In lower case; a server without it gives no sample.
  const char* family;
  MetricType type;
  const char* help;
  double divisor = 1;
  // A label of this sample beside those of its row, such as operation="fetch".
  const char* label = nullptr;
  const char* label_value = nullptr;
};

struct LabelColumn {
  const char* label;
  const char* column;  // In lower case.
};

// Asks `sql` and adds a sample for every field of every row.
Status ScrapeFields(MysqlConnection& connection, std::string_view sql,
                    const std::vector<LabelColumn>& labels, const std::vector<Field>& fields,
                    MetricSink& sink);

}  // namespace vedette::agent
