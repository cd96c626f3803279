#pragma once

#include <string>
#include <utility>

namespace vedette::config {

// A string that must not reach a log, an API or an error message. Printing one (ToYaml, a test's
// failure) shows <secret>; only Reveal() gives the text, at the place that puts it on a wire.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}

  bool empty() const { return text_.empty(); }
  const std::string& Reveal() const { return text_; }
  // What may be shown: "<secret>", or nothing where none was given.
  std::string Shown() const { return text_.empty() ? std::string() : std::string("<secret>"); }

  bool operator==(const Secret&) const = default;

 private:
  std::string text_;
};

}  // namespace vedette::config
