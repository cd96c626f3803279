#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/http/message.h"

namespace vedette::http {

// ResponseReader takes an HTTP/1 answer apart as its bytes arrive. It knows no sockets: whoever has
// one receives into Space() and says how much that was, so that the bytes of a long body are
// written once, where they stay.
//
//   ResponseReader reader;
//   reader.Start(max_body_bytes, std::move(buffer));
//   while (!reader.done()) {
//     const std::span<char> space = reader.Space();
//     const ssize_t n = recv(fd, space.data(), space.size(), 0);
//     VEDETTE_RETURN_IF_ERROR(n == 0 ? reader.Closed() : reader.Filled(n));
//   }
//
// Bodies: with a length, in chunks, or up to the end of the connection. A body beyond the limit is
// RESOURCE_EXHAUSTED, anything that is not HTTP/1 is INVALID_ARGUMENT, an end too soon is
// UNAVAILABLE. After an error only Start() may be called. Not thread-safe.
class ResponseReader {
 public:
  static constexpr size_t kMaxHeadBytes = 64 << 10;

  // `buffer` becomes the body: its memory, and as much of its length as is needed, are used again.
  void Start(size_t max_body_bytes, std::string buffer);

  // Where the next bytes go; never empty before done().
  std::span<char> Space();
  Status Filled(size_t bytes);
  // The other side has closed the connection.
  Status Closed();

  bool begun() const { return begun_; }  // Since Start(), a byte has come.
  bool done() const { return state_ == State::kDone; }
  // Done, and the connection is good for another request.
  bool reusable() const { return done() && keep_alive_; }

  int status() const { return status_; }
  Headers TakeHeaders() { return std::move(headers_); }
  std::string TakeBody() { return std::move(body_); }

 private:
  enum class State : uint8_t {
    kHead,
    kLength,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailer,
    kUntilClosed,
    kDone,
  };

  Status ParseHead();
  Status ReadHead(std::string_view head);
  Status BeginBody();
  Status Consume(std::string_view bytes);
  Status ConsumeLine(char byte);
  Status Append(std::string_view bytes);
  void Finish();

  State state_ = State::kDone;
  bool begun_ = false;
  bool keep_alive_ = false;
  int status_ = 0;
  size_t max_body_bytes_ = 0;
  std::string head_;  // As long as there is room; only head_bytes_ of it have come.
  size_t head_bytes_ = 0;
  Headers headers_;
  std::string body_;  // The same, with body_bytes_.
  size_t body_bytes_ = 0;
  size_t length_ = 0;       // Of the body, in kLength.
  std::string raw_;         // Chunks as they come.
  std::string line_;        // Of a chunk's size, or a trailer.
  size_t chunk_bytes_ = 0;  // Left of this one.
  size_t trailer_bytes_ = 0;
};

}  // namespace vedette::http
