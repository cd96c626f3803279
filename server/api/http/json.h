#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/model/histogram.h"
#include "common/model/labels.h"

namespace vedette::api {

// JsonWriter appends JSON to a string: no tree, no copies, commas where they belong. Numbers are
// written as Prometheus' API writes them (see Float and Time). Text that is not UTF-8 is written
// with U+FFFD in place of the bad bytes, so the answer always parses.
//
//   JsonWriter json(&out);
//   json.BeginObject();
//   json.Key("status").String("success");
//   json.EndObject();
//
// The caller keeps objects and arrays balanced. Not thread-safe.
class JsonWriter {
 public:
  explicit JsonWriter(std::string* out) : out_(*out) {}
  // What was written goes to `flush` now and then, and leaves `out`. False: nobody reads any more.
  using Flush = std::function<bool(std::string_view)>;
  JsonWriter(std::string* out, Flush flush) : out_(*out), flush_(std::move(flush)) {}

  // Between elements of a large answer. After a flush that failed nothing more is kept.
  void MaybeFlush() {
    if (flush_ != nullptr && out_.size() >= kFlushBytes) FlushNow();
  }
  void FlushNow();

  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  JsonWriter& Key(std::string_view key);

  JsonWriter& String(std::string_view text);
  JsonWriter& Int(int64_t v);
  JsonWriter& Uint(uint64_t v);
  JsonWriter& Bool(bool v);
  JsonWriter& Null();
  // A plain JSON number; NaN and infinities, which JSON has not, become null.
  JsonWriter& Number(double v);
  // A sample's value: the shortest decimal that reads back to it, in quotes, "NaN" and "+Inf" too.
  JsonWriter& Float(double v);
  // Seconds with milliseconds as a bare number: 1435781430.781.
  JsonWriter& Time(int64_t t_ms);
  // {"name":"value",...}
  JsonWriter& Object(const Labels& labels);
  // {"count":"..","sum":"..","buckets":[[boundaries,"lower","upper","count"],...]}
  JsonWriter& Object(const Histogram& histogram);
  // Text that is JSON already.
  JsonWriter& Raw(std::string_view json);

 private:
  static constexpr size_t kFlushBytes = 64 << 10;

  JsonWriter& Open(char bracket);
  JsonWriter& Close(char bracket);
  void Comma() {
    if (comma_) out_.push_back(',');
    comma_ = true;
  }

  std::string& out_;
  const Flush flush_;
  bool gone_ = false;  // A flush failed.
  bool comma_ = false;  // Something stands before the next value in the same bracket.
};

// The digits alone: what Float() puts between the quotes.
void AppendFloat(std::string& out, double v);
// "2026-11-21T02:51:10.123Z": RFC 3339 in UTC, fractions only where there are any.
std::string FormatTime(int64_t t_ms);

}  // namespace vedette::api
