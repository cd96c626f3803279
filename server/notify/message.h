#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/notification.h"
#include "server/template/template.h"
#include "server/template/value.h"

namespace vedette::notify {

// The labels that all alerts have with the same value; of the annotations likewise.
Labels CommonLabels(std::span<const Alert> alerts);
Labels CommonAnnotations(std::span<const Alert> alerts);

// How the values of labels are written into a message.
enum class Escape : uint8_t {
  kNone,
  kSlack,  // & < > as Slack wants them, so that a label cannot call @channel or fake a link.
  kHtml,   // & < > " ' as entities, annotations and links too: what stands there is text.
};

// What message templates see as dot: Receiver, Status, Alerts (.Firing, .Resolved), GroupLabels,
// CommonLabels, CommonAnnotations, RouteLabels, ExternalURL, NotificationReason.
tmpl::Value MessageData(const Notification& n, const std::string& external_url, Escape escape);

// The templates of one configuration: the default definitions, with the users' files on top. A
// message's own text is parsed into a copy. Immutable once made; shared by all receivers.
class MessageTemplates {
 public:
  // `files`: name and text of each. The clock outlives it.
  static Result<std::shared_ptr<const MessageTemplates>> Make(
      std::span<const std::pair<std::string, std::string>> files, const Clock& clock,
      std::string external_url);

  // One text of a configuration: kInvalidArgument with line and reason.
  Result<tmpl::Template> Prepare(std::string_view text) const;
  Result<std::string> Expand(std::string_view text, const tmpl::Value& data) const;

  const std::string& external_url() const { return external_url_; }

 private:
  explicit MessageTemplates(tmpl::Template base) : base_(std::move(base)) {}
  tmpl::Template base_;
  std::string external_url_;
};

// Expands many texts over the same data and remembers the first failure, so that a long list of
// fields reads as one.
class Expander {
 public:
  Expander(const MessageTemplates& templates, tmpl::Value data)
      : templates_(templates), data_(std::move(data)) {}

  std::string operator()(std::string_view text);
  const Status& status() const { return status_; }

 private:
  const MessageTemplates& templates_;
  tmpl::Value data_;
  Status status_;
};

// At most `runes` characters, the last one an ellipsis when something was cut.
std::string TruncateRunes(std::string_view text, size_t runes);
// The same for text with entities or <markup>, of which none is cut through.
std::string TruncateMarkup(const std::string& text, size_t runes);
// At most `bytes` bytes, cut between characters, three dots at the end.
std::string TruncateBytes(std::string_view text, size_t bytes);

}  // namespace vedette::notify
