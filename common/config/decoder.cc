#include "common/config/decoder.h"

#include <glob.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "common/model/duration.h"

namespace vedette::config {
namespace {

// Edits between two short words; the field names are.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

struct SizeUnit {
  std::string_view name;
  int shift;
};
constexpr SizeUnit kSizeUnits[] = {{"EB", 60},  {"PB", 50},  {"TB", 40},  {"GB", 30},  {"MB", 20},
                                   {"KB", 10},  {"EiB", 60}, {"PiB", 50}, {"TiB", 40}, {"GiB", 30},
                                   {"MiB", 20}, {"KiB", 10}, {"B", 0},    {"", 0}};

Status CheckUrl(std::string_view text) {
  size_t host = 0;
  if (text.starts_with("http://")) host = 7;
  if (text.starts_with("https://")) host = 8;
  if (host == 0) return InvalidArgument("must begin with http:// or https://");
  const std::string_view authority = text.substr(host, text.find_first_of("/?#", host) - host);
  const std::string_view name = authority.substr(authority.rfind('@') + 1);
  if (name.empty() || name.front() == ':') return InvalidArgument("names no host");
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) {
    return InvalidArgument("has white space in it");
  }
  return Status();
}

}  // namespace

DecodeContext DecodeContext::For(const std::string& file) {
  DecodeContext context;
  context.file = file;
  context.directory = DirectoryOf(file);
  return context;
}

void Value::Fail(std::string_view reason) const {
  if (!context_->failure.ok()) return;
  const YamlNode* at = node_ != nullptr ? node_ : near_;
  std::string message = StrCat(context_->file, ":", at->line, ":", at->column, ": ");
  if (!path_.empty()) StrAppend(message, path_, ": ");
  StrAppend(message, reason);
  context_->failure = InvalidArgument(message);
}

void Value::Notice(std::string_view reason) const {
  if (!written()) return;
  context_->notices.push_back({context_->file, near_->line, path_, std::string(reason)});
}

const std::string* Value::Text() const {
  if (!present()) return nullptr;
  if (node_->kind != YamlNode::Kind::kScalar) {
    Fail(StrCat("a single value is expected here, not a ", IsList() ? "list" : "map"));
    return nullptr;
  }
  return &node_->scalar;
}

void Value::Read(std::string& out) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  if (!IsValidUtf8(*text)) {
    Fail("is not valid UTF-8");
    return;
  }
  out = *text;
}

void Value::Read(Secret& out) const {
  if (const std::string* text = Text()) out = Secret(*text);
}

void Value::Read(bool& out) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  // YAML 1.1's words, which the Go library that Prometheus uses takes too.
  for (std::string_view yes : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}) {
    if (*text == yes && !node_->quoted) {
      out = true;
      return;
    }
  }
  for (std::string_view no : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}) {
    if (*text == no && !node_->quoted) {
      out = false;
      return;
    }
  }
  Fail(StrCat("not true or false: ", Quoted(*text)));
}

void Value::Read(int64_t& out) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  int64_t value = 0;
  const char* end = text->data() + text->size();
  auto [after, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || after != end || node_->quoted) {
    Fail(StrCat("not a whole number: ", Quoted(*text)));
    return;
  }
  out = value;
}

void Value::Read(int& out) const {
  int64_t value = out;
  Read(value);
  if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max()) {
    Fail(StrCat("out of range: ", value));
    return;
  }
  out = static_cast<int>(value);
}

void Value::Read(uint64_t& out) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  uint64_t value = 0;
  const char* end = text->data() + text->size();
  auto [after, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || after != end || node_->quoted) {
    Fail(StrCat("not a whole number from 0: ", Quoted(*text)));
    return;
  }
  out = value;
}

void Value::Read(double& out) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  double value = 0;
  const char* end = text->data() + text->size();
  auto [after, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || after != end || node_->quoted || !std::isfinite(value)) {
    Fail(StrCat("not a number: ", Quoted(*text)));
    return;
  }
  out = value;
}

void Value::Read(std::vector<std::string>& out) const {
  if (!present()) return;
  // The Go library takes one value where a list of them is expected.
  if (IsScalar()) {
    out.assign(1, node_->scalar);
    return;
  }
  out.clear();
  EachItem([&](const Value& item) {
    std::string text;
    item.Read(text);
    out.push_back(std::move(text));
  });
}

void Value::Read(std::vector<Secret>& out) const {
  if (!present()) return;
  std::vector<std::string> texts;
  Read(texts);
  out.clear();
  for (std::string& text : texts) out.emplace_back(std::move(text));
}

void Value::Read(std::map<std::string, std::string>& out) const {
  if (!present()) return;
  out.clear();
  EachEntry([&](const std::string& key, const Value& value) { value.Read(out[key]); });
}

void Value::ReadDuration(int64_t& out_ms) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  Result<int64_t> parsed = ParseDuration(*text);
  if (!parsed.ok()) {
    Fail(StrCat(parsed.status().message(), "; write it as 30s, 5m or 1h30m"));
    return;
  }
  out_ms = *parsed;
}

void Value::ReadDuration(std::optional<int64_t>& out_ms) const {
  if (!present()) return;
  int64_t value = 0;
  ReadDuration(value);
  out_ms = value;
}

void Value::ReadSize(uint64_t& out_bytes) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  Result<uint64_t> parsed = ParseSize(*text);
  if (!parsed.ok()) {
    Fail(parsed.status().message());
    return;
  }
  out_bytes = *parsed;
}

void Value::ReadUrl(std::string& out) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  if (Status s = CheckUrl(*text); !s.ok()) {
    Fail(StrCat("not a URL to use: ", Quoted(*text), " ", s.message()));
    return;
  }
  out = *text;
}

void Value::ReadUrl(Secret& out) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  // A template is checked once it is filled in; what comes back from our own API is no address.
  if (*text != "<secret>" && text->find("{{") == std::string::npos) {
    if (Status s = CheckUrl(*text); !s.ok()) {
      Fail(StrCat("not a URL to use: it ", s.message()));
      return;
    }
  }
  out = Secret(*text);
}

void Value::ReadPath(std::string& out) const {
  if (!present()) return;
  Read(out);
  out = Absolute(context_->directory, out);
}

void Value::ReadOneOf(std::string& out, const std::vector<std::string_view>& choices) const {
  const std::string* text = Text();
  if (text == nullptr) return;
  if (std::find(choices.begin(), choices.end(), *text) == choices.end()) {
    std::string all;
    for (std::string_view choice : choices) StrAppend(all, all.empty() ? "" : ", ", choice);
    Fail(StrCat("unknown value ", Quoted(*text), "; one of ", all));
    return;
  }
  out = *text;
}

Object::Object(const Value& value) : value_(value) {
  if (value_.present() && !value_.IsMap()) value_.Fail("a map is expected here");
}

Value Object::operator[](std::string_view name) {
  known_.push_back(name);
  const YamlNode* found = nullptr;
  const YamlNode* near = value_.node_ != nullptr ? value_.node_ : value_.near_;
  if (value_.IsMap()) {
    for (size_t i = 0; i < value_.node_->keys.size(); ++i) {
      if (value_.node_->keys[i].scalar == name) {
        found = &value_.node_->items[i];
        near = &value_.node_->keys[i];
      }
    }
  }
  return Value(*value_.context_, found, value_.Below(name), near);
}

void Object::Finish() {
  if (!value_.IsMap()) return;
  for (const YamlNode& key : value_.node_->keys) {
    if (std::find(known_.begin(), known_.end(), key.scalar) != known_.end()) continue;
    const Value field(*value_.context_, &key, value_.Below(key.scalar), &key);
    std::string_view closest;
    size_t least = 3;  // More edits than two is another word.
    for (std::string_view name : known_) {
      const size_t distance = Distance(key.scalar, name);
      if (distance < least) {
        least = distance;
        closest = name;
      }
    }
    const std::string reason = closest.empty()
                                   ? std::string("unknown field; remove it")
                                   : StrCat("unknown field; did you mean ", Quoted(closest), "?");
    if (value_.context_->ignore_unknown_fields) {
      field.Notice("unknown field, ignored as asked");
    } else {
      field.Fail(reason);
    }
  }
}

std::string Absolute(std::string_view directory, std::string_view path) {
  if (path.empty() || path.front() == '/' || directory.empty()) return std::string(path);
  return StrCat(directory, directory.ends_with('/') ? "" : "/", path);
}

std::string DirectoryOf(std::string_view file) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(std::string(file), error);
  if (error) return ".";
  return whole.lexically_normal().parent_path().string();
}

Result<std::string> ReadConfigFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return NotFound(StrCat(path, ": cannot be opened; does it exist, may we read it?"));
  const size_t limit = YamlLimits().max_bytes;
  // Piece by piece: room for the largest file there may be costs more than the rest of most starts.
  constexpr size_t kPiece = 64 << 10;
  std::string text;
  while (in.good() && text.size() <= limit) {
    const size_t at = text.size();
    text.resize(at + std::min(kPiece, limit + 1 - at));
    in.read(text.data() + at, static_cast<std::streamsize>(text.size() - at));
    text.resize(at + static_cast<size_t>(in.gcount()));
  }
  if (in.bad()) return Unavailable(StrCat(path, ": cannot be read"));
  if (text.size() > limit) {
    return InvalidArgument(StrCat(path, ": larger than the ", limit, " bytes a file may have"));
  }
  text.shrink_to_fit();
  return text;
}

std::vector<std::string> GlobFiles(const std::string& pattern) {
  std::vector<std::string> files;
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
  return files;
}

Result<uint64_t> ParseSize(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  auto [after, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::string_view unit(after, static_cast<size_t>(end - after));
  if (error == std::errc() && number >= 0) {
    for (const SizeUnit& known : kSizeUnits) {
      if (known.name != unit) continue;
      const double bytes = number * static_cast<double>(uint64_t{1} << known.shift);
      if (bytes < 9.2e18) return static_cast<uint64_t>(bytes);
    }
  }
  return InvalidArgument(StrCat("not a size: ", Quoted(text), "; write it as 512KB, 10MB or 2GB"));
}

std::string FormatSize(uint64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    const uint64_t one = uint64_t{1} << unit.shift;
    if (bytes != 0 && bytes % one == 0) return StrCat(bytes / one, unit.name);
  }
  return "0B";
}

}  // namespace vedette::config
