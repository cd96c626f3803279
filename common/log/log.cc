#include "common/log/log.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/log/request_scope.h"

namespace vedette::log {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warn", "error"};
constexpr std::string_view kMask = "<secret>";
constexpr size_t kMinSecret = 4;
constexpr size_t kMaxPlaces = 2048;

std::atomic<Level> g_level{Level::kInfo};
std::atomic<Format> g_format{Format::kLogfmt};

// Everything that needs a lock, never destroyed: threads may log while the process ends.
struct Shared {
  struct Repeat {
    int64_t window_start_ms = 0;
    int count = 0;
    int64_t suppressed = 0;
  };

  Mutex writer_mu;
  std::shared_ptr<Writer> writer VEDETTE_GUARDED_BY(writer_mu);

  Mutex secrets_mu;
  std::deque<std::string> secrets VEDETTE_GUARDED_BY(secrets_mu);
  std::atomic<bool> any_secret{false};

  Mutex repeats_mu;
  std::unordered_map<uint64_t, Repeat> repeats VEDETTE_GUARDED_BY(repeats_mu);

  Mutex init_mu;
  bool initialised VEDETTE_GUARDED_BY(init_mu) = false;
  std::string program VEDETTE_GUARDED_BY(init_mu);
};

Shared& shared() {
  static Shared& s = *new Shared;
  return s;
}

void WriteLine(std::string_view line) {
  Shared& s = shared();
  std::shared_ptr<Writer> writer;
  {
    MutexLock lock(s.writer_mu);
    writer = s.writer;
  }
  if (writer != nullptr) {
    (*writer)(line);
    return;
  }
  // One write a line: the kernel keeps lines of several threads apart.
  while (!line.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
    if (n <= 0) return;
    line.remove_prefix(size_t(n));
  }
}

void AppendJsonString(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  const bool valid = IsValidUtf8(text);
  for (char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (u < 0x20 || u == 0x7f || (u >= 0x80 && !valid)) {
      out += "\\u00";
      out.push_back(kHex[u >> 4]);
      out.push_back(kHex[u & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void AppendLogfmt(std::string& out, std::string_view value) {
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c != '"' && c != '=' && c != '\\' && static_cast<unsigned char>(c) < 0x7f;
  });
  if (plain) {
    out += value;
  } else if (IsValidUtf8(value)) {
    AppendJsonString(out, value);
  } else {
    out += Quoted(value);
  }
}

class Line {
 public:
  explicit Line(Format format) : json_(format == Format::kJson) {
    if (json_) text_.push_back('{');
  }
  void Add(std::string_view key, std::string_view value, bool bare = false) {
    if (text_.size() > 1) text_.push_back(json_ ? ',' : ' ');
    if (json_) {
      AppendJsonString(text_, key);
      text_.push_back(':');
      // JSON has no word for NaN and infinity.
      if (bare && value.find("n") == std::string_view::npos) {
        text_ += value;
      } else {
        AppendJsonString(text_, value);
      }
    } else {
      text_ += key;
      text_.push_back('=');
      AppendLogfmt(text_, value);
    }
  }
  std::string Finish() && {
    text_ += json_ ? "}\n" : "\n";
    return std::move(text_);
  }

 private:
  const bool json_;
  std::string text_;
};

std::string TimeText() {
  const int64_t now_ms = SystemClock().NowMs();
  const time_t seconds = time_t(now_ms / 1000);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  char text[96];
  snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
           tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, int(now_ms % 1000));
  return text;
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// What the sink needs beyond glog's own arguments; null while a line does not come from us.
struct Pending {
  Level level;
  std::string_view message;
  Fields fields;
  int64_t suppressed;
};
thread_local const Pending* t_pending = nullptr;

void Emit(Level level, std::string_view file, int line, std::string_view message, Fields fields,
          int64_t suppressed) {
  Line out(g_format.load(std::memory_order_relaxed));
  out.Add("ts", TimeText());
  out.Add("level", LevelName(level));
  out.Add("source", StrCat(BaseName(file), ":", line));
  out.Add("msg", MaskSecrets(message));
  for (const Field& field : fields) {
    out.Add(field.key, field.bare ? field.value : MaskSecrets(field.value), field.bare);
  }
  const auto names_request = [](const Field& field) { return field.key == "request_id"; };
  if (const std::string_view id = RequestScope::Current();
      !id.empty() && std::ranges::none_of(fields, names_request)) {
    out.Add("request_id", id);
  }
  if (suppressed > 0) out.Add("suppressed", StrCat(suppressed), true);
  WriteLine(std::move(out).Finish());
}

// Where every line comes by: ours, and what a library says through glog.
class Sink : public google::LogSink {
 public:
  void send(google::LogSeverity severity, const char* full_filename, const char* base_filename,
            int line, const google::LogMessageTime&, const char* message,
            size_t message_len) override {
    if (const Pending* pending = t_pending; pending != nullptr) {
      Emit(pending->level, base_filename, line, pending->message, pending->fields,
           pending->suppressed);
      return;
    }
    const Level level = severity == google::GLOG_INFO      ? Level::kInfo
                        : severity == google::GLOG_WARNING ? Level::kWarn
                                                           : Level::kError;
    if (level < g_level.load(std::memory_order_relaxed)) return;
    Emit(level, base_filename, line, std::string_view(message, message_len), {}, 0);
  }
};

Sink& sink() {
  static Sink& s = *new Sink;
  return s;
}

// Counts one line from one place with one message. Negative: do not write it; otherwise how many
// were left out since the last one that was.
int64_t CountRepeat(std::string_view file, int line, std::string_view message) {
  uint64_t key = std::hash<std::string_view>{}(message);
  key = key * 1099511628211u ^ std::hash<std::string_view>{}(file) ^ (uint64_t(line) << 40);
  const int64_t now_ms = SystemClock().MonotonicNs() / 1'000'000;
  Shared& s = shared();
  MutexLock lock(s.repeats_mu);
  // Messages that hold changing text would fill the table: start over, and lose a count at most.
  if (s.repeats.size() >= kMaxPlaces && !s.repeats.contains(key)) s.repeats.clear();
  Shared::Repeat& repeat = s.repeats[key];
  if (repeat.count == 0 || now_ms - repeat.window_start_ms >= kRepeatWindowMs) {
    repeat.window_start_ms = now_ms;
    repeat.count = 0;
  }
  if (++repeat.count > kRepeatBurst) {
    ++repeat.suppressed;
    return -1;
  }
  return std::exchange(repeat.suppressed, 0);
}

void Write(Level level, std::string_view message, Fields fields,
           const std::source_location& where) {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  const int64_t suppressed = CountRepeat(where.file_name(), int(where.line()), message);
  if (suppressed < 0) return;
  const Pending pending{level, message, fields, suppressed};
  t_pending = &pending;
  {
    const google::LogSeverity severity = level == Level::kError  ? google::GLOG_ERROR
                                         : level == Level::kWarn ? google::GLOG_WARNING
                                                                 : google::GLOG_INFO;
    google::LogMessage(where.file_name(), int(where.line()), severity, &sink(),
                       /*also_send_to_log=*/false);
  }
  t_pending = nullptr;
}

}  // namespace

Result<Level> ParseLevel(std::string_view text) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == text) return Level(i);
  }
  return InvalidArgument(
      StrCat("no such log level: ", Quoted(text), " (debug, info, warn or error)"));
}

Result<Format> ParseFormat(std::string_view text) {
  if (text == "logfmt") return Format::kLogfmt;
  if (text == "json") return Format::kJson;
  return InvalidArgument(StrCat("no such log format: ", Quoted(text), " (logfmt or json)"));
}

std::string_view LevelName(Level level) { return kLevelNames[size_t(level)]; }

void Init(std::string_view program, Level level, Format format) {
  SetLevel(level);
  g_format.store(format);
  Shared& s = shared();
  MutexLock lock(s.init_mu);
  if (s.initialised) return;
  s.initialised = true;
  s.program = program;  // glog keeps the pointer.
  FLAGS_logtostderr = false;
  FLAGS_stderrthreshold = google::GLOG_FATAL;  // The sink writes; glog itself only last words.
  FLAGS_timestamp_in_logfile_name = false;
  google::InitGoogleLogging(s.program.c_str());
  // No files: what runs us keeps stderr.
  for (int i = 0; i < google::NUM_SEVERITIES; ++i) google::SetLogDestination(i, "");
  google::AddLogSink(&sink());
}

void SetLevel(Level level) { g_level.store(level); }
Level level() { return g_level.load(); }

void RegisterSecret(std::string_view value) {
  if (value.size() < kMinSecret) return;
  Shared& s = shared();
  MutexLock lock(s.secrets_mu);
  if (std::find(s.secrets.begin(), s.secrets.end(), value) != s.secrets.end()) return;
  if (s.secrets.size() >= kMaxSecrets) s.secrets.pop_front();
  s.secrets.emplace_back(value);
  s.any_secret.store(true);
}

std::string MaskSecrets(std::string_view text) {
  std::string out(text);
  Shared& s = shared();
  if (!s.any_secret.load(std::memory_order_acquire)) return out;
  std::vector<std::string_view> found;
  MutexLock lock(s.secrets_mu);
  for (const std::string& secret : s.secrets) {
    if (out.find(secret) != std::string::npos) found.push_back(secret);
  }
  // The longest first: a short secret inside a long one must not leave the rest of it behind.
  std::sort(found.begin(), found.end(),
            [](std::string_view a, std::string_view b) { return a.size() > b.size(); });
  for (std::string_view secret : found) {
    for (size_t at = 0; (at = out.find(secret, at)) != std::string::npos; at += kMask.size()) {
      out.replace(at, secret.size(), kMask);
    }
  }
  return out;
}

void SetWriter(Writer writer) {
  Shared& s = shared();
  MutexLock lock(s.writer_mu);
  s.writer = writer ? std::make_shared<Writer>(std::move(writer)) : nullptr;
}

void Debug(std::string_view message, Fields fields, std::source_location where) {
  Write(Level::kDebug, message, fields, where);
}
void Info(std::string_view message, Fields fields, std::source_location where) {
  Write(Level::kInfo, message, fields, where);
}
void Warn(std::string_view message, Fields fields, std::source_location where) {
  Write(Level::kWarn, message, fields, where);
}
void Error(std::string_view message, Fields fields, std::source_location where) {
  Write(Level::kError, message, fields, where);
}

}  // namespace vedette::log
