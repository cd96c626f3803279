// What a worker does with a whole request: decode, route, and make the answer.
#include <cstdio>
#include <exception>
#include <utility>

#include "common/base/strings.h"
#include "common/compress/compress.h"
#include "common/http/answer_head.h"
#include "common/http/message.h"
#include "common/http/session.h"

namespace vedette::http {
namespace {

constexpr size_t kStreamChunk = 32 << 10;

}  // namespace

// Makes chunks of what a producer writes. The head goes out with the first of them, so that a
// producer which fails before it has said anything is answered with a proper 500.
class Server::Impl::StreamWriter : public BodyWriter {
 public:
  StreamWriter(Session& session, Response& response, bool chunked, bool compress_it)
      : session_(session), response_(response), chunked_(chunked) {
    if (!compress_it) return;
    response.headers.Add("Vary", "Accept-Encoding");
    const compress::Encoding encoding = ChooseEncoding(*session.request_);
    if (encoding == compress::Encoding::kIdentity) return;
    compressor_.emplace(encoding);
    response.headers.Set("Content-Encoding", compress::EncodingName(encoding));
  }

  Status Write(std::string_view bytes) override {
    if (compressor_) {
      VEDETTE_RETURN_IF_ERROR(compressor_->Write(bytes, false, pending_));
    } else {
      pending_ += bytes;
    }
    return pending_.size() >= kStreamChunk ? Push() : CheckClient();
  }

  Status Flush() override {
    if (compressor_) {
      VEDETTE_RETURN_IF_ERROR(compressor_->Write({}, true, pending_));
    }
    return Push();
  }

  bool cancelled() const override { return session_.request_->cancelled(); }
  bool started() const { return started_; }

  Status Finish() {
    if (compressor_) {
      VEDETTE_RETURN_IF_ERROR(compressor_->Finish(pending_));
    }
    last_ = true;
    return Push();
  }

 private:
  Status CheckClient() const { return cancelled() ? Cancelled("the client has gone") : Status(); }

  Status Push() {
    std::string piece;
    if (!started_) {
      started_ = true;
      piece = Head(response_, session_.keep_alive_);
      if (chunked_) piece += "Transfer-Encoding: chunked\r\n";
      piece += "\r\n";
    }
    if (chunked_ && !pending_.empty()) {
      char size[24];
      snprintf(size, sizeof size, "%zx\r\n", pending_.size());
      StrAppend(piece, size, pending_, "\r\n");
    } else {
      piece += pending_;
    }
    pending_.clear();
    if (chunked_ && last_) piece += "0\r\n\r\n";
    if (piece.empty()) return CheckClient();
    if (!session_.PushPiece(std::move(piece))) return Cancelled("the client has gone");
    return {};
  }

  Session& session_;
  Response& response_;
  const bool chunked_;
  bool started_ = false;
  bool last_ = false;
  std::optional<compress::StreamCompressor> compressor_;
  std::string pending_;
};

Status Server::Impl::Session::ReadForm() {
  const RouteOptions* route = impl_.router.Options(request_->method, request_->raw_path);
  return route == nullptr || route->form ? MergeForm(*request_) : Status();
}

void Server::Impl::Session::Handle() {
  Response response;
  if (request_->cancelled()) {
    impl_.router.Fail(*request_, response, 499, "the client has gone");
  } else if (!DecodeBody(response)) {
    // Already answered.
  } else if (Status status = ReadForm(); !status.ok()) {
    impl_.router.Fail(*request_, response, 400, status.message());
  } else {
    impl_.router.Dispatch(*request_, response);
    if (!response.producer) KeepBuffer();
  }
  if (response.producer && request_->method != "HEAD" && !HasNoBody(response.status)) {
    if (!response.own_thread) return HandleStream(response);
    auto kept = std::make_shared<Response>(std::move(response));
    if (impl_.StartStreamThread([self = shared_from_this(), kept] { self->HandleStream(*kept); })) {
      return;
    }
    response = Response();
    impl_.router.Fail(*request_, response, 503,
                      StrCat("more than ", impl_.options.max_stream_threads, " streams at once"));
  }
  CompressBody(response);
  asio::post(socket_.get_executor(),
             [self = shared_from_this(), answer = std::make_shared<Response>(std::move(response))] {
               self->SendWhole(*answer);
             });
}

bool Server::Impl::Session::DecodeBody(Response& response) {
  const std::string_view name = Trim(request_->headers.Get("Content-Encoding"));
  if (name.empty()) return true;
  const auto encoding = compress::EncodingFromName(name);
  if (!encoding) {
    impl_.router.Fail(*request_, response, 415,
                      StrCat("Content-Encoding ", Quoted(name),
                             " is not spoken here, only gzip, deflate, zstd and snappy"));
    return false;
  }
  std::string& plain = SpareBuffer();
  const Status status = compress::Decompress(*encoding, request_->body, size_t(body_limit_), plain);
  if (!status.ok()) {
    if (status.code() == StatusCode::kResourceExhausted) {
      const bool of_route =
          body_limit_ < impl_.options.max_body_bytes && !impl_.options.route_body_flag.empty();
      metrics::CountRefusal(of_route ? metrics::Limit::kWriteSize : metrics::Limit::kBodySize);
      impl_.router.Fail(*request_, response, 413,
                        StrCat("body: ", status.message(), " (--",
                               of_route ? impl_.options.route_body_flag : "web.max-body-size", ")"));
      return false;
    }
    impl_.router.Fail(*request_, response, 400, StrCat("body: ", status.message()));
    return false;
  }
  request_->body.swap(plain);
  plain = std::string();
  decoded_ = true;
  return true;
}

std::string& Server::Impl::Session::SpareBuffer() {
  thread_local std::string buffer;
  return buffer;
}

void Server::Impl::Session::KeepBuffer() {
  constexpr size_t kMaxSpareBytes = 1 << 20;
  if (decoded_ && request_->body.capacity() <= kMaxSpareBytes) {
    SpareBuffer().swap(request_->body);
  }
  decoded_ = false;
}

void Server::Impl::Session::CompressBody(Response& response) {
  if (!impl_.options.compress || !response.compressible || response.producer ||
      response.body.size() < kMinCompressBytes || response.headers.Has("Content-Encoding") ||
      !CompressibleType(response.headers.Get("Content-Type"))) {
    return;
  }
  response.headers.Add("Vary", "Accept-Encoding");
  const compress::Encoding encoding = ChooseEncoding(*request_);
  if (encoding == compress::Encoding::kIdentity) return;
  std::string packed;
  if (!compress::Compress(encoding, response.body, packed).ok()) return;  // Send it plain.
  response.body = std::move(packed);
  response.headers.Set("Content-Encoding", compress::EncodingName(encoding));
}

void Server::Impl::Session::HandleStream(Response& response) {
  if (http_1_0_ || impl_.stopping.load()) keep_alive_ = false;
  StreamWriter writer(*this, response, /*chunked=*/!http_1_0_,
                      impl_.options.compress && response.compressible && !response.own_thread &&
                          !response.headers.Has("Content-Encoding") &&
                          CompressibleType(response.headers.Get("Content-Type")));
  Status status;
  try {
    status = response.producer(writer);
  } catch (const std::exception& e) {
    status = Internal(e.what());
  }
  if (status.ok()) status = writer.Finish();
  if (!status.ok() && !writer.started() && !request_->cancelled()) {
    auto answer = std::make_shared<Response>();
    impl_.router.Fail(*request_, *answer, 500, status.message());
    asio::post(socket_.get_executor(),
               [self = shared_from_this(), answer] { self->SendWhole(*answer); });
    return;
  }
  ReportAccess(request_->cancelled() ? 499 : response.status, 0);
  EndStream(status.ok());
}

}  // namespace vedette::http
