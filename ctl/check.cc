#include "ctl/check.h"

#include <algorithm>
#include <fstream>
#include <ostream>
#include <utility>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "common/config/prometheus.h"
#include "common/config/rule_tests.h"
#include "common/config/rules.h"
#include "common/config/url_secrets.h"
#include "common/model/matcher.h"
#include "server/rehearsal/rule_check.h"
#include "server/rehearsal/rule_test.h"

namespace vedette::ctl {
namespace {

void Failed(std::ostream& out, const Status& why) { out << "  FAILED: " << config::HideUrlSecrets(why.message()) << "\n"; }

// One file; gives how many rules it has.
Result<size_t> CheckOne(const std::string& file, bool lint_fatal, std::ostream& out) {
  VEDETTE_ASSIGN_OR_RETURN(const config::RuleFileConfig rules, config::LoadRuleFile(file));
  VEDETTE_RETURN_IF_ERROR(rehearsal::CheckRules(rules.groups));
  const std::vector<std::string> twice = rehearsal::DuplicateRules(rules.groups);
  for (const std::string& name : twice) out << "  twice: " << name << "\n";
  if (lint_fatal && !twice.empty()) {
    return FailedPrecondition(StrCat(twice.size(), " duplicate rules"));
  }
  size_t count = 0;
  for (const config::RuleGroupConfig& g : rules.groups) count += g.rules.size();
  return count;
}

Status Verdict(size_t failed, std::string_view what) {
  if (failed == 0) return {};
  return FailedPrecondition(StrCat(failed, " ", what, failed == 1 ? "" : "s", " failed"));
}

std::string XmlEscaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return out;
}

struct FileOutcome {
  std::string file;
  Status unreadable;
  std::vector<rehearsal::RuleTestResult> tests;
};

Status WriteJunit(const std::string& path, const std::vector<FileOutcome>& files) {
  std::ofstream out(path, std::ios::binary);
  out << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  for (const FileOutcome& f : files) {
    const auto failed = std::count_if(f.tests.begin(), f.tests.end(),
                                      [](const auto& t) { return !t.failures.empty(); });
    out << "  <testsuite name=\"" << XmlEscaped(f.file) << "\" tests=\""
        << std::max<size_t>(f.tests.size(), 1) << "\" failures=\"" << failed << "\" errors=\""
        << (f.unreadable.ok() ? 0 : 1) << "\">\n";
    if (!f.unreadable.ok()) {
      out << "    <testcase name=\"load\"><error message=\"" << XmlEscaped(f.unreadable.message())
          << "\"/></testcase>\n";
    }
    for (const rehearsal::RuleTestResult& t : f.tests) {
      out << "    <testcase name=\"" << XmlEscaped(t.name) << "\"";
      if (t.failures.empty()) {
        out << "/>\n";
        continue;
      }
      out << ">\n";
      for (const std::string& failure : t.failures) {
        out << "      <failure message=\"" << XmlEscaped(failure) << "\"/>\n";
      }
      out << "    </testcase>\n";
    }
    out << "  </testsuite>\n";
  }
  out << "</testsuites>\n";
  out.flush();
  if (!out) return Unavailable(StrCat("--junit: cannot write ", path));
  return {};
}

}  // namespace

Status CheckRules::Run(std::ostream& out) const {
  size_t failed = 0;
  for (const std::string& file : files) {
    out << "Checking " << file << "\n";
    const Result<size_t> rules = CheckOne(file, lint_fatal, out);
    if (rules.ok()) {
      out << "  SUCCESS: " << *rules << " rules found\n";
    } else {
      Failed(out, rules.status());
      ++failed;
    }
    out << "\n";
  }
  return Verdict(failed, "rule file");
}

Status CheckConfig::Run(std::ostream& out) const {
  size_t failed = 0;
  for (const std::string& file : files) {
    out << "Checking " << file << "\n";
    const Result<config::PrometheusConfig> config = config::LoadPrometheusConfig(file);
    if (!config.ok()) {
      Failed(out, config.status());
      ++failed;
      continue;
    }
    for (const config::ConfigNotice& n : config->notices) {
      out << "  note: " << file << ":" << n.line << ": " << n.field << ": " << n.reason << "\n";
    }
    if (!config->rule_files.empty()) {
      out << "  SUCCESS: " << config->rule_files.size() << " rule files found\n";
    }
    out << "  SUCCESS: " << file << " is valid\n\n";
    CheckRules rules;
    rules.files = config->rule_files;
    if (!rules.Run(out).ok()) ++failed;
  }
  return Verdict(failed, "configuration");
}

Status CheckAlertmanager::Run(std::ostream& out) const {
  size_t failed = 0;
  for (const std::string& file : files) {
    out << "Checking " << file << "\n";
    if (const Status s = rehearsal::CheckAlertmanager(file); !s.ok()) {
      Failed(out, s);
      ++failed;
      continue;
    }
    const Result<config::AlertmanagerConfig> config = config::LoadAlertmanagerConfig(file);
    if (!config.ok()) return config.status();
    for (const config::ConfigNotice& n : config->notices) {
      out << "  note: " << file << ":" << n.line << ": " << n.field << ": " << n.reason << "\n";
    }
    out << "  SUCCESS: " << config->receivers.size() << " receivers, "
        << config->inhibit_rules.size() << " inhibit rules, " << config->time_intervals.size()
        << " time intervals, " << config->template_files.size() << " template files\n";
  }
  return Verdict(failed, "configuration");
}

Status TestRules::Run(std::ostream& out) const {
  std::vector<Regex> wanted;
  for (const std::string& pattern : run) {
    Result<Regex> compiled = Regex::Compile(pattern);
    if (!compiled.ok()) return compiled.status().Annotate("--run");
    wanted.push_back(*std::move(compiled));
  }
  out << "Unit Testing:\n";
  std::vector<FileOutcome> outcomes;
  size_t failed = 0;
  for (const std::string& file : files) {
    out << "  " << file << "\n";
    FileOutcome& outcome = outcomes.emplace_back();
    outcome.file = file;
    Result<config::RuleTestFile> tests = config::LoadRuleTestFile(file);
    if (tests.ok() && !wanted.empty()) {
      std::erase_if(tests->tests, [&](const config::RuleTestGroup& t) {
        return std::ranges::none_of(wanted, [&](const Regex& r) { return r.Matches(t.name); });
      });
    }
    Result<std::vector<rehearsal::RuleTestResult>> results =
        tests.ok() ? rehearsal::RunRuleTests(*tests)
                   : Result<std::vector<rehearsal::RuleTestResult>>(tests.status());
    if (!results.ok()) {
      outcome.unreadable = results.status();
      Failed(out, results.status());
      ++failed;
      continue;
    }
    outcome.tests = *std::move(results);
    bool good = true;
    for (const rehearsal::RuleTestResult& t : outcome.tests) {
      for (const std::string& failure : t.failures) {
        if (std::exchange(good, false)) out << "  FAILED:\n";
        out << "    " << t.name << ": " << failure << "\n";
      }
    }
    if (good) out << "  SUCCESS: " << outcome.tests.size() << " tests\n";
    failed += !good;
  }
  if (!junit_file.empty()) {
    VEDETTE_RETURN_IF_ERROR(WriteJunit(junit_file, outcomes));
  }
  return Verdict(failed, "file of tests").Annotate("unit tests of rules");
}

}  // namespace vedette::ctl
