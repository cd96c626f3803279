#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

Status CollectThermal(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("class/thermal");
  for (const std::string& name : ListDirectory(root)) {
    const std::string dir = StrCat(root, "/", name, "/");
    const auto type = ReadAttribute(dir + "type");
    if (!type) continue;
    if (name.starts_with("thermal_zone")) {
      const auto millidegrees = ReadNumber(dir + "temp");
      if (!millidegrees) continue;
      sink.Family("node_thermal_zone_temp", MetricType::kGauge, "Zone temperature in Celsius");
      sink.Add({{"zone", name.substr(12)}, {"type", *type}}, *millidegrees / 1000);
    } else if (name.starts_with("cooling_device")) {
      const std::string index = name.substr(14);
      const auto current = ReadNumber(dir + "cur_state");
      const auto max = ReadNumber(dir + "max_state");
      if (!current || !max) continue;
      sink.Family("node_cooling_device_cur_state", MetricType::kGauge,
                  "Current throttle state of the cooling device");
      sink.Add({{"name", index}, {"type", *type}}, *current);
      sink.Family("node_cooling_device_max_state", MetricType::kGauge,
                  "Maximum throttle state of the cooling device");
      sink.Add({{"name", index}, {"type", *type}}, *max);
    }
  }
  return {};
}

// Lower case, everything but letters, digits, ':' and '_' an underscore, none at the ends.
std::string CleanName(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ':' || c == '_';
    out += kept ? c : '_';
  }
  const size_t first = out.find_first_not_of('_');
  if (first == std::string::npos) return {};
  return out.substr(first, out.find_last_not_of('_') - first + 1);
}

// The name of a chip that survives a reboot: hwmon numbers follow the order of loading, the path of
// the device does not.
std::string ChipName(const std::string& dir) {
  std::error_code error;
  const auto device = std::filesystem::canonical(dir + "/device", error);
  if (!error) {
    const std::string name = CleanName(device.filename().string());
    const std::string bus = CleanName(device.parent_path().filename().string());
    if (!name.empty()) return bus.empty() ? name : StrCat(bus, "_", name);
  }
  if (const auto name = ReadAttribute(dir + "/name"); name && !CleanName(*name).empty()) {
    return CleanName(*name);
  }
  const auto real = std::filesystem::canonical(dir, error);
  return error ? std::string() : CleanName(real.filename().string());
}

// A number and nothing behind it: what a driver writes that has no reading is no reading.
std::optional<double> WholeNumber(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Reading {
  std::string sensor, type, property, text;
};

// The files "temp1_input", "in0_alarm", "pwm1" of a folder.
void ReadSensors(const std::string& dir, std::map<std::string, std::map<std::string, Reading>>& out) {
  static constexpr std::string_view kTypes[] = {
      "vrm", "beep_enable", "update_interval", "in",    "cpu",      "fan",      "pwm",
      "temp", "curr",       "power",           "energy", "humidity", "intrusion", "freq"};
  for (const std::string& file : ListDirectory(dir)) {
    const std::string_view name = file;
    const size_t digits = name.find_first_of("0123456789");
    std::string_view type = name.substr(0, digits);
    std::string_view number;
    std::string_view property;
    if (digits != std::string_view::npos) {
      const size_t end = name.find_first_not_of("0123456789", digits);
      number = name.substr(digits, end == std::string_view::npos ? end : end - digits);
      if (end != std::string_view::npos) {
        if (name[end] != '_') continue;
        property = name.substr(end + 1);
      }
    }
    if (std::find(std::begin(kTypes), std::end(kTypes), type) == std::end(kTypes)) continue;
    Result<std::string> text = ReadFile(StrCat(dir, "/", file));
    if (!text.ok()) continue;
    while (text->ends_with('\n')) text->pop_back();
    const std::string sensor = StrCat(type, number.empty() ? "0" : number);
    out[sensor][std::string(property)] = {sensor, std::string(type), std::string(property),
                                          *std::move(text)};
  }
}

struct SensorFamily {
  std::string name;
  std::string help;
  MetricType type = MetricType::kGauge;
  double divisor = 1;
};

// Linux' hwmon interface counts in milli and micro units; families are in base units.
SensorFamily FamilyOf(const Reading& r, bool has_plain_value) {
  std::string name = StrCat("node_hwmon_", r.type);
  if (r.property == "input") {
    if (has_plain_value) name += "_input";
  } else if (!r.property.empty()) {
    StrAppend(name, "_", CleanName(r.property));
  }
  const auto with = [&](std::string_view suffix, std::string_view what, double divisor) {
    return SensorFamily{StrCat(name, suffix),
                        StrCat("Hardware monitor for ", what, " (", r.property, ")"),
                        MetricType::kGauge, divisor};
  };
  if (r.property == "fault" || r.property == "alarm") {
    return {name, StrCat("Hardware sensor ", r.property, " status (", r.type, ")")};
  }
  if (r.property == "beep") {
    return {name + "_enabled", "Hardware monitor sensor has beeping enabled"};
  }
  if (r.type == "in" || r.type == "cpu") return with("_volts", "voltage", 1e3);
  if (r.type == "temp" && r.property != "type") return with("_celsius", "temperature", 1e3);
  if (r.type == "curr") return with("_amps", "current", 1e3);
  if (r.type == "energy") {
    return {name + "_joule_total", StrCat("Hardware monitor for joules used so far (", r.property, ")"),
            MetricType::kCounter, 1e6};
  }
  if (r.type == "power" && r.property == "accuracy") {
    return {name, "Hardware monitor power meter accuracy, as a ratio", MetricType::kGauge, 1e6};
  }
  if (r.type == "power" && r.property.starts_with("average_interval")) {
    return with("_seconds", "power usage update interval", 1e3);
  }
  if (r.type == "power") return with("_watt", "power usage in watts", 1e6);
  if (r.type == "humidity") {
    return with("", "humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage)",
                1e6);
  }
  if (r.type == "fan" && (r.property == "input" || r.property == "min" || r.property == "max" ||
                          r.property == "target")) {
    return with("_rpm", "fan revolutions per minute", 1);
  }
  if (r.type == "freq" && r.property == "input") {
    return {name + "_freq_mhz", "Hardware monitor for GPU frequency in MHz", MetricType::kGauge,
            1e6};
  }
  return {name, StrCat("Hardware monitor ", r.type, " element ", r.property)};
}

void AddSensor(std::string_view chip, const std::map<std::string, Reading>& readings,
               MetricSink& sink) {
  const Reading& any = readings.begin()->second;
  const std::string& sensor = any.sensor;
  if (const auto label = readings.find("label"); label != readings.end()) {
    sink.Family("node_hwmon_sensor_label", MetricType::kGauge,
                "Label for given chip and sensor");
    sink.Add({{"chip", chip}, {"sensor", sensor}, {"label", ValidUtf8(label->second.text)}}, 1);
  }
  const auto plain = readings.find("");
  const auto add = [&](const SensorFamily& family, const std::string& text,
                       std::string_view shown) {
    const auto value = WholeNumber(text);
    if (!value) return;
    sink.Family(family.name, family.type, family.help);
    sink.Add({{"chip", chip}, {"sensor", shown}}, *value / family.divisor);
  };
  if (any.type == "beep_enable" || any.type == "vrm" || any.type == "update_interval") {
    if (plain == readings.end()) return;
    if (any.type == "beep_enable") {
      add({"node_hwmon_beep_enabled", "Hardware beep enabled"},
          plain->second.text == "1" ? "1" : "0", sensor);
    } else if (any.type == "vrm") {
      add({"node_hwmon_voltage_regulator_version", "Hardware voltage regulator"},
          plain->second.text, sensor);
    } else {
      add({"node_hwmon_update_interval_seconds", "Hardware monitor update interval",
           MetricType::kGauge, 1e3},
          plain->second.text, sensor);
    }
    return;
  }
  for (const auto& [property, reading] : readings) {
    if (property == "label") continue;
    std::string shown = sensor;
    // A clock is known by its label ("sclk") and not by its number; one without is not shown.
    if (any.type == "freq" && property == "input") {
      const auto label = readings.find("label");
      if (label == readings.end()) continue;
      shown = CleanName(label->second.text);
    }
    add(FamilyOf(reading, plain != readings.end()), reading.text, shown);
  }
}

Status CollectHwmon(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("class/hwmon");
  std::error_code error;
  if (!std::filesystem::is_directory(root, error)) return NotFound(StrCat(root, " is missing"));
  for (const std::string& name : ListDirectory(root)) {
    const std::string dir = StrCat(root, "/", name);
    const std::string chip = ChipName(dir);
    if (chip.empty() || !host.hwmon_chip.Passes(chip)) continue;
    if (const auto text = ReadAttribute(dir + "/name"); text && !CleanName(*text).empty()) {
      sink.Family("node_hwmon_chip_names", MetricType::kGauge,
                  "Annotation metric for human-readable chip names");
      sink.Add({{"chip", chip}, {"chip_name", CleanName(*text)}}, 1);
    }
    std::map<std::string, std::map<std::string, Reading>> sensors;
    ReadSensors(dir, sensors);
    // Before Linux 3.13 the files were the device's.
    ReadSensors(dir + "/device", sensors);
    for (const auto& [sensor, readings] : sensors) {
      if (host.hwmon_sensor.Passes(StrCat(chip, ";", sensor))) AddSensor(chip, readings, sink);
    }
  }
  return {};
}

}  // namespace

void AddSensorCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"thermal_zone", "/sys/class/thermal"}, host, CollectThermal);
  Add(out, {"hwmon", "/sys/class/hwmon/*"}, host, CollectHwmon);
}

}  // namespace vedette::agent
