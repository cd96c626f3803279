#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/notice.h"
#include "common/config/secret.h"
#include "common/config/yaml_node.h"

namespace vedette::config {

// What one decoding shares: the file's name for messages, where relative paths start, and the
// first mistake. After a mistake decoding goes on, but only the first is told.
struct DecodeContext {
  std::string file;
  std::string directory;  // Of the file; relative paths start here.
  bool ignore_unknown_fields = false;
  ConfigNotices notices;
  Status failure;

  static DecodeContext For(const std::string& file);
};

// Value is one place in the document, there or not, on its way into a typed field. The readers
// leave `out` as it is when the value is absent or null, so a default stays; what does not fit is
// told to the context as "file:line:column: path: reason".
class Value {
 public:
  Value(DecodeContext& context, const YamlNode* node, std::string path, const YamlNode* near)
      : context_(&context), node_(node), path_(std::move(path)), near_(near) {}

  static Value Root(DecodeContext& context, const YamlNode& node) {
    return Value(context, &node, "", &node);
  }

  bool present() const { return node_ != nullptr && node_->kind != YamlNode::Kind::kNull; }
  bool written() const { return node_ != nullptr; }  // Even if as null.
  bool IsMap() const { return present() && node_->kind == YamlNode::Kind::kMap; }
  bool IsList() const { return present() && node_->kind == YamlNode::Kind::kList; }
  bool IsScalar() const { return present() && node_->kind == YamlNode::Kind::kScalar; }
  const YamlNode* node() const { return node_; }
  const std::string& path() const { return path_; }
  DecodeContext& context() const { return *context_; }
  int line() const { return node_ != nullptr ? node_->line : near_->line; }

  // Where the value is absent, the place named is the map it is missing from.
  void Fail(std::string_view reason) const;
  void Notice(std::string_view reason) const;

  void Read(std::string& out) const;
  void Read(Secret& out) const;
  void Read(bool& out) const;
  void Read(int& out) const;
  void Read(int64_t& out) const;
  void Read(uint64_t& out) const;
  void Read(double& out) const;
  void Read(std::vector<std::string>& out) const;
  void Read(std::vector<Secret>& out) const;
  void Read(std::map<std::string, std::string>& out) const;
  template <typename T>
  void Read(std::optional<T>& out) const {
    if (!present()) return;
    T value{};
    Read(value);
    out = std::move(value);
  }

  void ReadDuration(int64_t& out_ms) const;  // 1h30m
  void ReadDuration(std::optional<int64_t>& out_ms) const;
  void ReadSize(uint64_t& out_bytes) const;  // 10MB, powers of two; 0
  void ReadUrl(std::string& out) const;      // http or https, with a host
  void ReadUrl(Secret& out) const;           // Not shown in the message.
  void ReadPath(std::string& out) const;     // Made absolute.
  void ReadOneOf(std::string& out, const std::vector<std::string_view>& choices) const;

  // Calls f(Value) for each item of a list.
  template <typename F>
  void EachItem(F f) const {
    if (!present()) return;
    if (!IsList()) {
      Fail("a list is expected here");
      return;
    }
    for (size_t i = 0; i < node_->items.size(); ++i) {
      f(Value(*context_, &node_->items[i], StrCat(path_, "[", i, "]"), &node_->items[i]));
    }
  }

  // As EachItem for lists of blocks, where an empty item is a mistake.
  template <typename F>
  void EachBlock(F f) const {
    EachItem([&](const Value& item) {
      if (!item.present()) {
        item.Fail("empty or null item in a list; fill it in, or remove the dash");
        return;
      }
      f(item);
    });
  }

  // Calls f(key, Value) for each entry of a map whose keys are the user's own.
  template <typename F>
  void EachEntry(F f) const {
    if (!present()) return;
    if (!IsMap()) {
      Fail("a map is expected here");
      return;
    }
    for (size_t i = 0; i < node_->items.size(); ++i) {
      const YamlNode& key = node_->keys[i];
      f(key.scalar, Value(*context_, &node_->items[i], Below(key.scalar), &key));
    }
  }

 private:
  friend class Object;
  std::string Below(std::string_view key) const {
    return path_.empty() ? std::string(key) : StrCat(path_, ".", key);
  }
  // The text of a scalar; nothing, and a failure told, when it is a list or map.
  const std::string* Text() const;

  DecodeContext* context_;
  const YamlNode* node_;
  std::string path_;
  const YamlNode* near_;
};

// Object reads a map with known fields. Every field asked for counts as known; what is left over
// when Finish() is called is a mistake.
//
//   Object o(value);
//   o["username"].Read(out.username);
//   o.Finish();
class Object {
 public:
  explicit Object(const Value& value);

  Value operator[](std::string_view name);
  void Finish();

  const Value& value() const { return value_; }

 private:
  Value value_;
  std::vector<std::string_view> known_;
};

// `path` from `directory`, unless it is absolute or empty.
std::string Absolute(std::string_view directory, std::string_view path);
std::string DirectoryOf(std::string_view file);

// At most 16 MiB. NOT_FOUND when there is no such file.
Result<std::string> ReadConfigFile(const std::string& path);

// The files a glob matches, sorted; a path without magic that is not there gives nothing.
std::vector<std::string> GlobFiles(const std::string& pattern);

// 512B, 10MB, 1.5GB; a number alone means bytes.
Result<uint64_t> ParseSize(std::string_view text);
std::string FormatSize(uint64_t bytes);

}  // namespace vedette::config
