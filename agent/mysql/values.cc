#include "agent/mysql/values.h"

#include <charconv>
#include <cmath>
#include <ctime>
#include <system_error>

#include "common/base/strings.h"
#include "common/model/labels.h"

namespace vedette::agent {

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string NamePart(std::string_view text, bool lower) {
  std::string out = lower ? Lower(text) : std::string(text);
  for (char& c : out) {
    const bool good =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) c = '_';
  }
  return out;
}

std::optional<double> Number(std::string_view text) {
  text = Trim(text);
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(v)) {
    return std::nullopt;
  }
  return v;
}

std::optional<double> StatusValue(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  const std::string word = Lower(Trim(*text));
  if (word == "yes" || word == "on" || word == "primary") return 1;
  if (word == "no" || word == "off" || word == "disabled" || word == "connecting" ||
      word == "non-primary" || word == "disconnected") {
    return 0;
  }
  if (const auto number = Number(word)) return number;
  // "Jan 19 03:14:07 2038 GMT" of certificates, "2026-01-05 10:00:00" of tables.
  std::tm date = {};
  for (const char* form : {"%b %d %H:%M:%S %Y", "%Y-%m-%d %H:%M:%S"}) {
    date = {};
    if (strptime(text->c_str(), form, &date) != nullptr) {
      return static_cast<double>(timegm(&date));
    }
  }
  return std::nullopt;
}

double NumberOr0(const std::optional<std::string>& text) {
  return text ? Number(*text).value_or(0) : 0;
}

const std::string& Text(const std::optional<std::string>& text) {
  static const std::string empty;
  return text ? *text : empty;
}

int ColumnOf(const MysqlRows& rows, std::string_view name) {
  for (size_t i = 0; i < rows.columns.size(); ++i) {
    if (Lower(rows.columns[i]) == name) return static_cast<int>(i);
  }
  return -1;
}

const std::string& Cell(const MysqlRows& rows, const Row& row, std::string_view column) {
  static const std::string empty;
  const int at = ColumnOf(rows, column);
  return at < 0 ? empty : Text(row[static_cast<size_t>(at)]);
}

Status ScrapeFields(MysqlConnection& connection, std::string_view sql,
                    const std::vector<LabelColumn>& labels, const std::vector<Field>& fields,
                    MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const MysqlRows rows, connection.Query(sql));
  std::vector<int> label_at;
  for (const LabelColumn& l : labels) label_at.push_back(ColumnOf(rows, l.column));
  std::vector<Label> set;
  for (const Field& field : fields) {
    const int at = ColumnOf(rows, field.column);
    if (at < 0) continue;
    sink.Family(field.family, field.type, field.help);
    for (const Row& row : rows.rows) {
      const auto value = StatusValue(row[static_cast<size_t>(at)]);
      if (!value) continue;
      set.clear();
      for (size_t i = 0; i < labels.size(); ++i) {
        const int column = label_at[i];
        set.push_back({labels[i].label,
                       column < 0 ? std::string_view()
                                  : std::string_view(Text(row[static_cast<size_t>(column)]))});
      }
      if (field.label != nullptr) set.push_back({field.label, field.label_value});
      sink.Add(set, *value / field.divisor);
    }
  }
  return {};
}

}  // namespace vedette::agent
