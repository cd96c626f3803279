#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// What the firmware says of the machine. Some files only root may read; those that cannot be read
// give no label.
Status CollectDmi(const Host& host, MetricSink& sink) {
  static constexpr std::pair<const char*, const char*> kFiles[] = {
      {"bios_date", "bios_date"},
      {"bios_release", "bios_release"},
      {"bios_vendor", "bios_vendor"},
      {"bios_version", "bios_version"},
      {"board_asset_tag", "board_asset_tag"},
      {"board_name", "board_name"},
      {"board_serial", "board_serial"},
      {"board_vendor", "board_vendor"},
      {"board_version", "board_version"},
      {"chassis_asset_tag", "chassis_asset_tag"},
      {"chassis_serial", "chassis_serial"},
      {"chassis_vendor", "chassis_vendor"},
      {"chassis_version", "chassis_version"},
      {"product_family", "product_family"},
      {"product_name", "product_name"},
      {"product_serial", "product_serial"},
      {"product_sku", "product_sku"},
      {"product_uuid", "product_uuid"},
      {"product_version", "product_version"},
      {"sys_vendor", "system_vendor"},
  };
  const std::string dir = host.Sys("class/dmi/id");
  std::vector<std::pair<const char*, std::string>> found;
  for (const auto& [file, label] : kFiles) {
    if (auto text = ReadAttribute(StrCat(dir, "/", file))) found.emplace_back(label, ValidUtf8(*text));
  }
  if (found.empty()) return NotFound(StrCat(dir, " is missing"));
  std::vector<Label> labels;
  for (const auto& [label, value] : found) labels.push_back({label, value});
  sink.Family("node_dmi_info", MetricType::kGauge,
              "A metric with a constant '1' value labeled by what /sys/class/dmi/id says.");
  sink.Add(labels, 1);
  return {};
}

// "CPU0#channel1_DIMM#0" as node_exporter shows it: "CPU0_channel1_DIMM0".
std::string DimmLabel(const std::optional<std::string>& text) {
  if (!text) return "unknown";
  std::string out;
  for (size_t i = 0; i < text->size(); ++i) {
    const std::string_view rest = std::string_view(*text).substr(i);
    if (rest[0] == '#') continue;
    if (rest.starts_with("csrow") || rest.starts_with("channel")) out += '_';
    out += rest[0];
  }
  return out;
}

bool HasNumber(std::string_view name, std::string_view prefix) {
  return name.size() > prefix.size() && name.starts_with(prefix) && name[prefix.size()] >= '0' &&
         name[prefix.size()] <= '9';
}

// Errors of the memory: by controller, by row, and by channel where the kernel knows.
Status CollectEdac(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("devices/system/edac/mc");
  const auto add = [&](const char* name, const char* help, LabelPairs labels, const std::string& file) {
    const auto value = ReadNumber(file);
    if (!value) return;
    sink.Family(name, MetricType::kCounter, help);
    sink.Add(labels, *value);
  };
  for (const std::string& mc : ListDirectory(root)) {
    if (!HasNumber(mc, "mc")) continue;
    const std::string controller = mc.substr(2);
    const std::string dir = StrCat(root, "/", mc);
    add("node_edac_correctable_errors_total", "Total correctable memory errors.",
        {{"controller", controller}}, dir + "/ce_count");
    add("node_edac_uncorrectable_errors_total", "Total uncorrectable memory errors.",
        {{"controller", controller}}, dir + "/ue_count");
    const auto add_row = [&](std::string_view row, const std::string& ce, const std::string& ue) {
      add("node_edac_csrow_correctable_errors_total",
          "Total correctable memory errors for this csrow.",
          {{"controller", controller}, {"csrow", row}}, ce);
      add("node_edac_csrow_uncorrectable_errors_total",
          "Total uncorrectable memory errors for this csrow.",
          {{"controller", controller}, {"csrow", row}}, ue);
    };
    add_row("unknown", dir + "/ce_noinfo_count", dir + "/ue_noinfo_count");
    for (const std::string& csrow : ListDirectory(dir)) {
      if (!HasNumber(csrow, "csrow")) continue;
      const std::string row = csrow.substr(5);
      const std::string row_dir = StrCat(dir, "/", csrow);
      add_row(row, row_dir + "/ce_count", row_dir + "/ue_count");
      for (const std::string& file : ListDirectory(row_dir)) {
        if (!HasNumber(file, "ch") || !file.ends_with("_ce_count")) continue;
        const std::string channel = file.substr(2, file.size() - 11);
        const std::string prefix = StrCat(row_dir, "/ch", channel);
        const std::string dimm = DimmLabel(ReadAttribute(prefix + "_dimm_label"));
        const std::initializer_list<std::pair<std::string_view, std::string_view>> labels = {
            {"controller", controller}, {"csrow", row}, {"channel", channel}, {"dimm_label", dimm}};
        add("node_edac_channel_correctable_errors_total",
            "Total correctable memory errors for this channel.", labels, prefix + "_ce_count");
        add("node_edac_channel_uncorrectable_errors_total",
            "Total uncorrectable memory errors for this channel.", labels, prefix + "_ue_count");
      }
    }
  }
  return {};
}

// Numbers in micro units become base units; text becomes labels.
Status CollectPowerSupplies(const Host& host, MetricSink& sink) {
  struct Field {
    const char* file;
    const char* name;
    double divisor = 1;
  };
  static constexpr Field kFields[] = {
      {"authentic", "authentic"},
      {"calibrate", "calibrate"},
      {"capacity", "capacity"},
      {"capacity_alert_max", "capacity_alert_max"},
      {"capacity_alert_min", "capacity_alert_min"},
      {"cycle_count", "cyclecount"},
      {"online", "online"},
      {"present", "present"},
      {"time_to_empty_now", "time_to_empty_seconds"},
      {"time_to_full_now", "time_to_full_seconds"},
      {"current_boot", "current_boot", 1e6},
      {"current_max", "current_max", 1e6},
      {"current_now", "current_ampere", 1e6},
      {"energy_empty", "energy_empty", 1e6},
      {"energy_empty_design", "energy_empty_design", 1e6},
      {"energy_full", "energy_full", 1e6},
      {"energy_full_design", "energy_full_design", 1e6},
      {"energy_now", "energy_watthour", 1e6},
      {"voltage_boot", "voltage_boot", 1e6},
      {"voltage_max", "voltage_max", 1e6},
      {"voltage_max_design", "voltage_max_design", 1e6},
      {"voltage_min", "voltage_min", 1e6},
      {"voltage_min_design", "voltage_min_design", 1e6},
      {"voltage_now", "voltage_volt", 1e6},
      {"voltage_ocv", "voltage_ocv", 1e6},
      {"charge_control_limit", "charge_control_limit", 1e6},
      {"charge_control_limit_max", "charge_control_limit_max", 1e6},
      {"charge_counter", "charge_counter", 1e6},
      {"charge_empty", "charge_empty", 1e6},
      {"charge_empty_design", "charge_empty_design", 1e6},
      {"charge_full", "charge_full", 1e6},
      {"charge_full_design", "charge_full_design", 1e6},
      {"charge_now", "charge_ampere", 1e6},
      {"charge_term_current", "charge_term_current", 1e6},
      {"constant_charge_current", "constant_charge_current", 1e6},
      {"constant_charge_current_max", "constant_charge_current_max", 1e6},
      {"constant_charge_voltage", "constant_charge_voltage", 1e6},
      {"constant_charge_voltage_max", "constant_charge_voltage_max", 1e6},
      {"precharge_current", "precharge_current", 1e6},
      {"input_current_limit", "input_current_limit", 1e6},
      {"power_now", "power_watt", 1e6},
      // Tenths of a degree.
      {"temp", "temp_celsius", 10},
      {"temp_alert_max", "temp_alert_max_celsius", 10},
      {"temp_alert_min", "temp_alert_min_celsius", 10},
      {"temp_ambient", "temp_ambient_celsius", 10},
      {"temp_ambient_max", "temp_ambient_max_celsius", 10},
      {"temp_ambient_min", "temp_ambient_min_celsius", 10},
      {"temp_max", "temp_max_celsius", 10},
      {"temp_min", "temp_min_celsius", 10},
  };
  static constexpr const char* kTexts[] = {
      "capacity_level", "charge_type", "health",     "manufacturer", "model_name", "serial_number",
      "status",         "technology",  "type",       "usb_type",     "scope"};
  const std::string root = host.Sys("class/power_supply");
  std::error_code error;
  if (!std::filesystem::is_directory(root, error)) return NotFound(StrCat(root, " is missing"));
  for (const std::string& supply : ListDirectory(root)) {
    if (!host.powersupply.Passes(supply)) continue;
    const std::string dir = StrCat(root, "/", supply, "/");
    for (const Field& f : kFields) {
      const auto value = ReadNumber(dir + f.file);
      if (!value) continue;
      sink.Family(StrCat("node_power_supply_", f.name), MetricType::kGauge,
                  StrCat(f.file, " value of /sys/class/power_supply/<power_supply>."));
      sink.Add({{"power_supply", supply}}, *value / f.divisor);
    }
    std::vector<std::pair<const char*, std::string>> texts;
    for (const char* file : kTexts) {
      const auto text = ReadAttribute(dir + file);
      if (text && !text->empty()) texts.emplace_back(file, ValidUtf8(*text));
    }
    std::vector<Label> labels = {{"power_supply", supply}};
    for (const auto& [name, text] : texts) labels.push_back({name, text});
    sink.Family("node_power_supply_info", MetricType::kGauge,
                "info of /sys/class/power_supply/<power_supply>.");
    sink.Add(labels, 1);
  }
  return {};
}

// Energy that zones of the processor have used: "package-0" is the zone package with index 0.
Status CollectRapl(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("class/powercap");
  std::map<std::string, int> seen;
  bool any = false;
  for (const std::string& name : ListDirectory(root)) {
    const std::string dir = StrCat(root, "/", name);
    const auto zone = ReadAttribute(dir + "/name");
    if (!zone || !name.starts_with("intel-rapl:")) continue;
    any = true;
    std::string zone_name = *zone;
    std::string index;
    // "package-0-die-1" has more than one dash, and is a name as a whole.
    const size_t dash = zone->find('-');
    if (dash != std::string::npos && dash == zone->rfind('-') &&
        Number<int>(std::string_view(*zone).substr(dash + 1))) {
      index = zone->substr(dash + 1);
      zone_name = zone->substr(0, dash);
    } else {
      index = StrCat(seen[*zone]++);
    }
    const auto microjoules = ReadNumber(dir + "/energy_uj");
    if (!microjoules) return Unavailable(StrCat(dir, "/energy_uj cannot be read; it is root's"));
    for (char& c : zone_name) {
      if (c == '-') c = '_';
    }
    if (host.options.rapl_zone_label) {
      sink.Family("node_rapl_joules_total", MetricType::kCounter, "Current RAPL value in joules");
      sink.Add({{"index", index}, {"path", dir}, {"rapl_zone", zone_name}}, *microjoules / 1e6);
    } else {
      sink.Family(StrCat("node_rapl_", zone_name, "_joules_total"), MetricType::kCounter,
                  StrCat("Current RAPL ", zone_name, " value in joules"));
      sink.Add({{"index", index}, {"path", dir}}, *microjoules / 1e6);
    }
  }
  return any ? Status() : NotFound(StrCat(root, " has no RAPL zones"));
}

Status CollectWatchdogs(const Host& host, MetricSink& sink) {
  static constexpr NumberFile kFiles[] = {
      {"bootstatus", "node_watchdog_bootstatus", "Value of /sys/class/watchdog/<watchdog>/bootstatus"},
      {"fw_version", "node_watchdog_fw_version", "Value of /sys/class/watchdog/<watchdog>/fw_version"},
      {"nowayout", "node_watchdog_nowayout", "Value of /sys/class/watchdog/<watchdog>/nowayout"},
      {"timeleft", "node_watchdog_timeleft_seconds", "Value of /sys/class/watchdog/<watchdog>/timeleft"},
      {"timeout", "node_watchdog_timeout_seconds", "Value of /sys/class/watchdog/<watchdog>/timeout"},
      {"pretimeout", "node_watchdog_pretimeout_seconds",
       "Value of /sys/class/watchdog/<watchdog>/pretimeout"},
      {"access_cs0", "node_watchdog_access_cs0", "Value of /sys/class/watchdog/<watchdog>/access_cs0"},
  };
  const std::string root = host.Sys("class/watchdog");
  const auto names = ListDirectory(root);
  if (names.empty()) return NotFound(StrCat(root, " is missing or empty"));
  for (const std::string& name : names) {
    const std::string dir = StrCat(root, "/", name);
    AddNumberFiles(dir, kFiles, {{"name", name}}, sink);
    const auto text = [&](const char* file) {
      return ReadAttribute(StrCat(dir, "/", file)).value_or("");
    };
    sink.Family("node_watchdog_info", MetricType::kGauge, "Info of /sys/class/watchdog/<watchdog>");
    sink.Add({{"name", name},
              {"options", text("options")},
              {"identity", text("identity")},
              {"state", text("state")},
              {"status", text("status")},
              {"pretimeout_governor", text("pretimeout_governor")}},
             1);
  }
  return {};
}

// "0000:00:02.1" as segment, bus, device and function.
struct PciLocation {
  std::string segment, bus, device, function;
};

std::optional<PciLocation> ParsePciLocation(std::string_view text) {
  const auto parts = Split(text, ':');
  if (parts.size() != 3) return std::nullopt;
  const auto last = Split(parts[2], '.');
  if (last.size() != 2) return std::nullopt;
  return PciLocation{std::string(parts[0]), std::string(parts[1]), std::string(last[0]),
                     std::string(last[1])};
}

std::string Hex(const std::string& dir, const char* file, size_t digits) {
  const auto text = ReadAttribute(StrCat(dir, "/", file));
  const auto value = text && text->starts_with("0x")
                         ? Number<uint32_t>(std::string_view(*text).substr(2), 16)
                         : std::nullopt;
  char buffer[16];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value.value_or(0), 16).ptr;
  const std::string_view hex(buffer, static_cast<size_t>(end - buffer));
  return StrCat("0x", std::string(digits > hex.size() ? digits - hex.size() : 0, '0'), hex);
}

Status CollectPciDevices(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("bus/pci/devices");
  const auto names = ListDirectory(root);
  if (names.empty()) return NotFound(StrCat(root, " is missing or empty"));
  for (const std::string& name : names) {
    const auto at = ParsePciLocation(name);
    if (!at) continue;
    const std::string dir = StrCat(root, "/", name);
    PciLocation parent{"*", "*", "*", "*"};
    std::error_code error;
    const auto real = std::filesystem::canonical(dir, error);
    if (!error) {
      if (auto above = ParsePciLocation(real.parent_path().filename().string())) parent = *above;
    }
    sink.Family("node_pcidevice_info", MetricType::kGauge,
                "Non-numeric data from /sys/bus/pci/devices/<location>, value is always 1.");
    sink.Add({{"segment", at->segment},
              {"bus", at->bus},
              {"device", at->device},
              {"function", at->function},
              {"parent_segment", parent.segment},
              {"parent_bus", parent.bus},
              {"parent_device", parent.device},
              {"parent_function", parent.function},
              {"class_id", Hex(dir, "class", 6)},
              {"vendor_id", Hex(dir, "vendor", 4)},
              {"device_id", Hex(dir, "device", 4)},
              {"subsystem_vendor_id", Hex(dir, "subsystem_vendor", 4)},
              {"subsystem_device_id", Hex(dir, "subsystem_device", 4)},
              {"revision", Hex(dir, "revision", 2)}},
             1);
    const auto add = [&](const char* family, const char* help, double value) {
      sink.Family(StrCat("node_pcidevice_", family), MetricType::kGauge, help);
      sink.Add({{"segment", at->segment},
                {"bus", at->bus},
                {"device", at->device},
                {"function", at->function}},
               value);
    };
    // "8.0 GT/s PCIe"; -1 where the device has no link.
    const auto speed = [&](const char* file) {
      const auto value = ReadNumber(StrCat(dir, "/", file));
      return value ? *value * 1e9 : -1;
    };
    const auto number = [&](const char* file, double absent) {
      return ReadNumber(StrCat(dir, "/", file)).value_or(absent);
    };
    add("max_link_transfers_per_second", "Value of maximum link's transfers per second (T/s)",
        speed("max_link_speed"));
    add("max_link_width", "Value of maximum link's width (number of lanes)",
        number("max_link_width", -1));
    add("current_link_transfers_per_second",
        "Value of current link's transfers per second (T/s)", speed("current_link_speed"));
    add("current_link_width", "Value of current link's width (number of lanes)",
        number("current_link_width", -1));
    add("d3cold_allowed", "Whether the PCIe device supports D3cold power state (0/1).",
        number("d3cold_allowed", 0));
    add("sriov_drivers_autoprobe",
        "Whether SR-IOV drivers autoprobe is enabled for the device (0/1).",
        number("sriov_drivers_autoprobe", 0));
    add("sriov_numvfs", "Number of Virtual Functions (VFs) currently enabled for SR-IOV.",
        number("sriov_numvfs", 0));
    add("sriov_totalvfs", "Total number of Virtual Functions (VFs) supported by the device.",
        number("sriov_totalvfs", 0));
    add("sriov_vf_total_msix", "Total number of MSI-X vectors for Virtual Functions.",
        number("sriov_vf_total_msix", 0));
    if (const double node = number("numa_node", -1); node != -1) {
      add("numa_node", "NUMA node number for the PCI device.", node);
    }
    const auto power = ReadAttribute(dir + "/power_state");
    if (!power) continue;
    for (const char* state : {"D0", "D1", "D2", "D3hot", "D3cold", "unknown", "error"}) {
      sink.Family("node_pcidevice_power_state", MetricType::kGauge,
                  "PCIe device power state, one of: D0, D1, D2, D3hot, D3cold, unknown or error.");
      sink.Add({{"segment", at->segment},
                {"bus", at->bus},
                {"device", at->device},
                {"function", at->function},
                {"state", state}},
               *power == state ? 1 : 0);
    }
  }
  return {};
}

// Graphics cards of AMD's driver.
Status CollectDrm(const Host& host, MetricSink& sink) {
  static constexpr NumberFile kFiles[] = {
      {"gpu_busy_percent", "node_drm_gpu_busy_percent", "How busy the GPU is as a percentage."},
      {"mem_info_gtt_total", "node_drm_memory_gtt_size_bytes",
       "The size of the graphics translation table (GTT) block in bytes."},
      {"mem_info_gtt_used", "node_drm_memory_gtt_used_bytes",
       "The used amount of the graphics translation table (GTT) block in bytes."},
      {"mem_info_vis_vram_total", "node_drm_memory_vis_vram_size_bytes",
       "The size of visible VRAM in bytes."},
      {"mem_info_vis_vram_used", "node_drm_memory_vis_vram_used_bytes",
       "The used amount of visible VRAM in bytes."},
      {"mem_info_vram_total", "node_drm_memory_vram_size_bytes", "The size of VRAM in bytes."},
      {"mem_info_vram_used", "node_drm_memory_vram_used_bytes",
       "The used amount of VRAM in bytes."},
  };
  const std::string root = host.Sys("class/drm");
  for (const std::string& card : ListDirectory(root)) {
    // card0, not card0-HDMI-A-1.
    if (!HasNumber(card, "card") || card.find('-') != std::string::npos) continue;
    const std::string dir = StrCat(root, "/", card, "/device");
    const std::string uevent = ReadAttribute(dir + "/uevent").value_or("");
    if (uevent.find("DRIVER=amdgpu") == std::string::npos) continue;
    sink.Family("node_drm_card_info", MetricType::kGauge, "Card information");
    sink.Add({{"card", card},
              {"memory_vendor", ReadAttribute(dir + "/mem_info_vram_vendor").value_or("")},
              {"power_performance_level",
               ReadAttribute(dir + "/power_dpm_force_performance_level").value_or("")},
              {"unique_id", ReadAttribute(dir + "/unique_id").value_or("")},
              {"vendor", "amd"}},
             1);
    // Older cards know less; node_exporter shows what they do not tell as 0.
    AddNumberFiles(dir, kFiles, {{"card", card}}, sink, Absent::kZero);
  }
  return {};
}

}  // namespace

void AddHardwareCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"dmi", "/sys/class/dmi/id"}, host, CollectDmi);
  Add(out, {"edac", "/sys/devices/system/edac/mc"}, host, CollectEdac);
  Add(out, {"powersupplyclass", "/sys/class/power_supply"}, host, CollectPowerSupplies);
  Add(out, {"rapl", "/sys/class/powercap (root only)"}, host, CollectRapl);
  Add(out, {"watchdog", "/sys/class/watchdog"}, host, CollectWatchdogs);
  Add(out, {"drm", "/sys/class/drm/card*/device", kOff}, host, CollectDrm);
  Add(out, {"pcidevice", "/sys/bus/pci/devices", kOff}, host, CollectPciDevices);
}

}  // namespace vedette::agent
