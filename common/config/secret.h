#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace vedette::config {

// Whether a parameter of a URL, or a header, with this name is likely to hold a secret: its value
// is then not shown. "token", "api_key", "X-Auth-Password", ...
inline bool LooksSecret(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const std::string_view word :
       {"token", "secret", "passw", "pwd", "key", "auth", "credential", "signature", "session"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return false;
}

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
