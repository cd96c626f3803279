#include "common/http/response_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "common/base/strings.h"

namespace vedette::http {
namespace {

// A head is a few hundred bytes: what comes with it of a body is copied once more.
constexpr size_t kHeadPiece = 1 << 10;
constexpr size_t kRawPiece = 32 << 10;
constexpr size_t kMaxLine = 4 << 10;
constexpr size_t kMaxTrailerBytes = 64 << 10;
constexpr size_t kFirstBody = 16 << 10;

Status Malformed(std::string_view what) { return InvalidArgument(StrCat("HTTP: ", what)); }

// At most 15 digits: far beyond any limit, and no overflow.
std::optional<size_t> ParseNumber(std::string_view text, unsigned base) {
  if (text.empty() || text.size() > 15) return std::nullopt;
  size_t value = 0;
  for (char c : text) {
    unsigned digit = 16;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = static_cast<unsigned>((c | 0x20) - 'a') + 10;
    }
    if (digit >= base) return std::nullopt;
    value = value * base + digit;
  }
  return value;
}

bool HasToken(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (EqualsIgnoreCase(Trim(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// The bytes of a head up to and with its empty line; 0: not there yet.
size_t HeadEnd(std::string_view bytes) {
  for (size_t at = bytes.find('\n'); at != std::string_view::npos; at = bytes.find('\n', at + 1)) {
    if (bytes.substr(at + 1, 1) == "\n") return at + 2;
    if (bytes.substr(at + 1, 2) == "\r\n") return at + 3;
  }
  return 0;
}

}  // namespace

void ResponseReader::Start(size_t max_body_bytes, std::string buffer) {
  state_ = State::kHead;
  begun_ = false;
  keep_alive_ = false;
  status_ = 0;
  max_body_bytes_ = max_body_bytes;
  head_.resize(kHeadPiece);
  head_bytes_ = 0;
  headers_ = {};
  body_ = std::move(buffer);
  body_bytes_ = 0;
}

std::span<char> ResponseReader::Space() {
  switch (state_) {
    case State::kHead:
      if (head_bytes_ == head_.size()) {
        head_.resize(std::min(head_.size() * 2, kMaxHeadBytes));
      }
      return {head_.data() + head_bytes_, head_.size() - head_bytes_};
    case State::kLength:
      return {body_.data() + body_bytes_, length_ - body_bytes_};
    default:
      raw_.resize(kRawPiece);
      return raw_;
  }
}

Status ResponseReader::Filled(size_t bytes) {
  begun_ = begun_ || bytes > 0;
  switch (state_) {
    case State::kHead:
      head_bytes_ += bytes;
      return ParseHead();
    case State::kLength:
      body_bytes_ += bytes;
      if (body_bytes_ == length_) Finish();
      return {};
    default:
      return Consume(std::string_view(raw_).substr(0, bytes));
  }
}

Status ResponseReader::Closed() {
  if (state_ != State::kUntilClosed) return Unavailable("the connection ended within the answer");
  Finish();
  return {};
}

Status ResponseReader::ParseHead() {
  while (state_ == State::kHead) {
    const std::string_view come(head_.data(), head_bytes_);
    const size_t end = HeadEnd(come);
    if (end == 0) {
      return head_bytes_ < kMaxHeadBytes ? Status() : Malformed("the head has no end");
    }
    VEDETTE_RETURN_IF_ERROR(ReadHead(come.substr(0, end)));
    if (status_ >= 100 && status_ < 200) {  // The answer comes after it.
      head_.erase(0, end);
      head_.resize(std::max(head_.size(), kHeadPiece));
      head_bytes_ -= end;
      continue;
    }
    const std::string head = std::exchange(head_, std::string());
    VEDETTE_RETURN_IF_ERROR(BeginBody());
    return Consume(std::string_view(head).substr(end, head_bytes_ - end));
  }
  return {};
}

Status ResponseReader::ReadHead(std::string_view head) {
  const size_t first_end = head.find('\n');
  const std::string_view first = Trim(head.substr(0, first_end));
  // HTTP/1.1 200 OK
  if (first.size() < 12 || !first.starts_with("HTTP/1.") || first[8] != ' ') {
    return Malformed("the first line is none of HTTP/1");
  }
  const std::optional<size_t> status = ParseNumber(first.substr(9, 3), 10);
  if (!status || *status < 100 || (first.size() > 12 && first[12] != ' ')) {
    return Malformed("the first line has no status");
  }
  status_ = static_cast<int>(*status);
  keep_alive_ = first[7] == '1';
  headers_ = {};
  for (head.remove_prefix(first_end + 1); !head.empty();) {
    const size_t end = std::min(head.find('\n'), head.size() - 1);
    const std::string_view line = Trim(head.substr(0, end));
    head.remove_prefix(end + 1);
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return Malformed("a header without a name");
    headers_.Add(Trim(line.substr(0, colon)), Trim(line.substr(colon + 1)));
  }
  return {};
}

Status ResponseReader::BeginBody() {
  const std::string_view connection = headers_.Get("Connection");
  if (HasToken(connection, "close")) keep_alive_ = false;
  const bool chunked = headers_.Has("Transfer-Encoding");
  std::optional<size_t> length;
  for (const auto& [name, value] : headers_) {
    if (EqualsIgnoreCase(name, "Transfer-Encoding") && !EqualsIgnoreCase(value, "chunked")) {
      return Malformed("a transfer encoding other than chunked");
    }
    if (!EqualsIgnoreCase(name, "Content-Length")) continue;
    const std::optional<size_t> said = ParseNumber(value, 10);
    if (!said || (length && *length != *said)) return Malformed("no clear length");
    length = said;
  }
  if (status_ == 204 || status_ == 304) {
    Finish();
  } else if (chunked) {
    if (length) keep_alive_ = false;  // Who knows where the next answer would begin.
    line_.clear();
    trailer_bytes_ = 0;
    state_ = State::kChunkSize;
  } else if (length) {
    if (*length > max_body_bytes_) return ResourceExhausted("the body is over the limit");
    length_ = *length;
    state_ = State::kLength;
    body_.resize(length_);
    if (length_ == 0) Finish();
  } else {
    keep_alive_ = false;
    state_ = State::kUntilClosed;
  }
  return {};
}

Status ResponseReader::Consume(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (state_) {
      case State::kLength: {
        const size_t n = std::min(bytes.size(), length_ - body_bytes_);
        std::memcpy(body_.data() + body_bytes_, bytes.data(), n);
        body_bytes_ += n;
        bytes.remove_prefix(n);
        if (body_bytes_ == length_) Finish();
        break;
      }
      case State::kUntilClosed:
        VEDETTE_RETURN_IF_ERROR(Append(bytes));
        return {};
      case State::kChunkData: {
        const size_t n = std::min(bytes.size(), chunk_bytes_);
        VEDETTE_RETURN_IF_ERROR(Append(bytes.substr(0, n)));
        bytes.remove_prefix(n);
        chunk_bytes_ -= n;
        if (chunk_bytes_ == 0) state_ = State::kChunkEnd;
        break;
      }
      case State::kDone:
        // More than was asked for: what comes next on this connection is anybody's guess.
        keep_alive_ = false;
        return {};
      default:
        VEDETTE_RETURN_IF_ERROR(ConsumeLine(bytes[0]));
        bytes.remove_prefix(1);
    }
  }
  return {};
}

// The lines between chunks.
Status ResponseReader::ConsumeLine(char byte) {
  if (byte != '\n') {
    if (line_.size() >= kMaxLine) return Malformed("a chunk's line is too long");
    line_.push_back(byte);
    return {};
  }
  const std::string_view line = Trim(line_);
  switch (state_) {
    case State::kChunkSize: {
      const std::optional<size_t> size =
          ParseNumber(Trim(line.substr(0, line.find(';'))), 16);
      if (!size) return Malformed("a chunk without a size");
      chunk_bytes_ = *size;
      state_ = *size == 0 ? State::kTrailer : State::kChunkData;
      break;
    }
    case State::kChunkEnd:
      if (!line.empty()) return Malformed("a chunk is longer than it said");
      state_ = State::kChunkSize;
      break;
    default:  // kTrailer: read and forgotten.
      trailer_bytes_ += line_.size();
      if (trailer_bytes_ > kMaxTrailerBytes) return Malformed("the trailer is too long");
      if (line.empty()) Finish();
  }
  line_.clear();
  return {};
}

Status ResponseReader::Append(std::string_view bytes) {
  if (bytes.size() > max_body_bytes_ - body_bytes_) {
    return ResourceExhausted("the body is over the limit");
  }
  const size_t need = body_bytes_ + bytes.size();
  if (need > body_.size()) body_.resize(std::max({need, body_.size() * 2, kFirstBody}));
  std::memcpy(body_.data() + body_bytes_, bytes.data(), bytes.size());
  body_bytes_ = need;
  return {};
}

void ResponseReader::Finish() {
  body_.resize(body_bytes_);
  // Connections wait for their next request in their thousands.
  raw_ = {};
  line_ = {};
  state_ = State::kDone;
}

}  // namespace vedette::http
