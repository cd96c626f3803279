#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "ctl/http_api.h"

// vedettectl alert … and silence …: amtool's verbs, on Alertmanager's API v2.
namespace vedette::ctl {

// "simple" and "extended" are tables; "json" is what the server answered.
struct AlertQuery {
  std::vector<std::string> matchers;  // name=value, name=~regex; a bare word is an alertname.
  bool active = false, silenced = false, inhibited = false, unprocessed = false;
  std::string receiver;
  std::string format = "simple";
  Status Run(const HttpApi& api, std::ostream& out) const;
};

struct AlertAdd {
  std::vector<std::string> labels;       // name=value; a bare word is the alertname.
  std::vector<std::string> annotations;  // name=value
  std::string start, end, generator_url;
  Status Run(const HttpApi& api, const Clock& clock) const;
};

struct SilenceAdd {
  std::vector<std::string> matchers;
  std::string author, comment;
  bool require_comment = true;
  std::string duration = "1h", start, end;
  std::vector<std::string> annotations;
  // Past amtool: hours in which it holds ("weekdays: [sunday], times: [...]", YAML or JSON), an
  // alert so long before the end, and a look at what it would hold back.
  std::string recurrence, remind_before;
  bool preview = false;
  Status Run(const HttpApi& api, const Clock& clock, std::ostream& out) const;
};

struct SilenceQuery {
  std::vector<std::string> matchers;
  bool expired = false, quiet = false;
  std::string created_by, id, within;
  std::string format = "simple";
  Status Run(const HttpApi& api, const Clock& clock, std::ostream& out) const;
};

struct SilenceExpire {
  std::vector<std::string> ids;
  Status Run(const HttpApi& api) const;
};

struct SilenceUpdate {
  std::vector<std::string> ids;
  std::string duration, start, end, comment;
  std::string format = "simple";
  Status Run(const HttpApi& api, const Clock& clock, std::ostream& out) const;
};

struct SilenceImport {
  std::string file = "-";
  bool force = false;  // As new ones: ids in the file are not looked at.
  Status Run(const HttpApi& api, std::ostream& out) const;
};

}  // namespace vedette::ctl
