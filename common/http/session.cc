// A connection's life on its strand: requests are read, answers sent.
#include "common/http/session.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/strings.h"
#include "common/http/answer_head.h"
#include "common/http/message.h"

namespace vedette::http {
namespace {

constexpr size_t kWriteSlice = 256 << 10;
constexpr int64_t kLingerMs = 2'000;

}  // namespace

void Server::Impl::Session::Run() {
  Touch();
  asio::dispatch(socket_.get_executor(), [self = shared_from_this()] { self->Begin(); });
}

void Server::Impl::Session::PostClose() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->Close(); });
}

void Server::Impl::Session::PostCloseIfWaiting() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->waiting()) self->Close();
  });
}

void Server::Impl::Session::SetDeadline(Timer& timer, int64_t ms,
                                        std::optional<metrics::Limit> limit) {
  timer.expires_after(std::chrono::milliseconds(ms));
  timer.async_wait([self = shared_from_this(), limit](Error error) {
    if (error) return;
    if (limit && !self->closed_) metrics::CountRefusal(*limit);
    self->Close();
  });
}

void Server::Impl::Session::Begin() {
  if (!impl_.options.tls_context) return ReadNext(impl_.options.header_timeout_ms);
  const std::shared_ptr<SSL_CTX> context = impl_.options.tls_context();
  if (context == nullptr) return Close();
  SSL_CTX_up_ref(context.get());  // The wrapper frees its own reference.
  asio::ssl::context wrapper(context.get());
  tls_.emplace(socket_, wrapper);
  SetDeadline(read_timer_, impl_.options.header_timeout_ms, metrics::Limit::kHeaderTimeout);
  tls_->async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](Error error) {
    if (error) return self->Close();
    self->ReadNext(self->impl_.options.header_timeout_ms);
  });
}

void Server::Impl::Session::ReadNext(int64_t wait_ms) {
  if (closed_) return;
  Touch();
  if (impl_.stopping.load()) return Close();
  if (buffer_.size() > 0) return ReadHeader();
  SetDeadline(read_timer_, wait_ms);
  if (reading_ahead_) return;  // OnReadAhead goes on.
  WithStream([this](auto& stream) {
    stream.async_read_some(buffer_.prepare(4096),
                           [self = shared_from_this()](Error error, size_t n) {
                             if (error) return self->Close();
                             self->buffer_.commit(n);
                             self->ReadHeader();
                           });
  });
}

void Server::Impl::Session::ReadHeader() {
  parser_.emplace();
  parser_->header_limit(uint32_t(impl_.options.max_header_bytes));
  parser_->body_limit(uint64_t(impl_.options.max_body_bytes));
  SetDeadline(read_timer_, impl_.options.header_timeout_ms, metrics::Limit::kHeaderTimeout);
  WithStream([this](auto& stream) {
    beast_http::async_read_header(
        stream, buffer_, *parser_,
        [self = shared_from_this()](Error error, size_t) { self->OnHeader(error); });
  });
}

void Server::Impl::Session::OnHeader(Error error) {
  if (closed_) return;
  request_ = std::make_shared<Request>();
  keep_alive_ = false;
  http_1_0_ = false;
  body_limit_ = impl_.options.max_body_bytes;
  if (error == beast_http::error::end_of_stream || error == asio::error::eof ||
      (error && error.category() == asio::error::get_system_category())) {
    return Close();
  }
  if (error == beast_http::error::header_limit) {
    return FailFor(metrics::Limit::kHeaderSize, 431,
                   StrCat("the header is over the limit of ", impl_.options.max_header_bytes,
                          " bytes (--web.max-header-size)"));
  }
  if (error == beast_http::error::body_limit) return FailTooLarge();
  if (error) return Fail(400, StrCat("not an HTTP request: ", error.message()));
  FillRequest();
  if (too_often_) {
    return Fail(429, StrCat("more than ", impl_.options.max_connections_per_second,
                            " new connections a second from ", address_,
                            " (--web.max-connections-per-second): keep them open"));
  }
  if (Status status = ParseTarget(*request_); !status.ok()) return Fail(400, status.message());
  if (const RouteOptions* route = impl_.router.Options(request_->method, request_->raw_path);
      route != nullptr && route->max_body_bytes >= 0) {
    body_limit_ = std::min(body_limit_, route->max_body_bytes);
  }
  parser_->body_limit(uint64_t(body_limit_));
  if (const auto length = parser_->content_length(); length && *length > uint64_t(body_limit_)) {
    return FailTooLarge();
  }
  if (parser_->is_done()) return OnWhole();
  SetDeadline(read_timer_, impl_.options.body_timeout_ms, metrics::Limit::kBodyTimeout);
  if (EqualsIgnoreCase(request_->headers.Get("Expect"), "100-continue")) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    WithStream([this](auto& stream) {
      asio::async_write(stream, asio::buffer(kContinue.data(), kContinue.size()),
                        [self = shared_from_this()](Error e, size_t) {
                          if (e) return self->Close();
                          self->ReadBody();
                        });
    });
    return;
  }
  ReadBody();
}

void Server::Impl::Session::FillRequest() {
  const auto& head = parser_->get();
  keep_alive_ = head.keep_alive();
  http_1_0_ = head.version() < 11;
  request_->method = std::string(head.method_string());
  request_->target = std::string(head.target());
  for (const auto& field : head) {
    request_->headers.Add(std::string(field.name_string()), std::string(field.value()));
  }
  request_->peer = peer_;
  request_->peer_address = address_;
  request_->tls = tls_.has_value();
  if (tls_) request_->tls_peer_name = PeerName();
}

std::string Server::Impl::Session::PeerName() {
  SSL* ssl = tls_->native_handle();
  if (SSL_get_verify_result(ssl) != X509_V_OK) return "";
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(ssl),
                                                           X509_free);
  if (certificate == nullptr) return "";
  char name[256] = "";
  const int n = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName,
                                          name, sizeof name);
  return n > 0 ? std::string(name, size_t(n)) : "";
}

void Server::Impl::Session::ReadBody() {
  WithStream([this](auto& stream) {
    beast_http::async_read_some(
        stream, buffer_, *parser_,
        [self = shared_from_this()](Error error, size_t) { self->OnBody(error); });
  });
}

void Server::Impl::Session::OnBody(Error error) {
  if (closed_) return;
  if (error == beast_http::error::body_limit) return FailTooLarge();
  if (error && error != beast_http::error::need_more) {
    if (error.category() == asio::error::get_system_category() ||
        error == beast_http::error::partial_message || error == asio::error::eof) {
      return Close();
    }
    return Fail(400, StrCat("the body is damaged: ", error.message()));
  }
  const int64_t size = int64_t(parser_->get().body().size());
  const int64_t total =
      impl_.buffered_bytes.fetch_add(size - accounted_bytes_) + size - accounted_bytes_;
  accounted_bytes_ = size;
  if (total > impl_.options.max_buffered_bytes) {
    return FailFor(metrics::Limit::kBufferedBodies, 503,
                   StrCat("request bodies in memory are over the limit of ",
                          impl_.options.max_buffered_bytes, " bytes (--web.max-buffered-size)"));
  }
  if (!parser_->is_done()) return ReadBody();
  OnWhole();
}

void Server::Impl::Session::OnWhole() {
  read_timer_.cancel();
  request_->body = std::move(parser_->get().body());
  waiting_.store(false, std::memory_order_relaxed);
  impl_.BeginRequest();
  handling_ = true;
  started_ = Clock::now();
  ReadAhead();
  if (!impl_.workers.Submit([self = shared_from_this()] { self->Handle(); })) {
    auto response = std::make_shared<Response>();
    metrics::CountRefusal(metrics::Limit::kQueuedRequests);
    impl_.router.Fail(*request_, *response, 503,
                      "too many requests wait for a thread (--web.max-queued-requests)");
    SendWhole(*response);
  }
}

void Server::Impl::Session::ReadAhead() {
  // What a pipelining client has sent already proves that it is there.
  if (reading_ahead_ || buffer_.size() > 0) return;
  reading_ahead_ = true;
  WithStream([this](auto& stream) {
    stream.async_read_some(
        buffer_.prepare(4096),
        [self = shared_from_this()](Error error, size_t n) { self->OnReadAhead(error, n); });
  });
}

void Server::Impl::Session::OnReadAhead(Error error, size_t n) {
  reading_ahead_ = false;
  if (closed_) return;
  if (closing_) return Linger();
  if (error) {
    peer_gone_ = true;
    if (handling_) {
      // The answer is still tried: a client may have closed only its own half.
      if (request_) CancelRequest();
      return;
    }
    return Close();
  }
  buffer_.commit(n);
  if (!handling_) ReadHeader();
}

void Server::Impl::Session::CancelRequest() {
  request_->cancellation->Cancel();
  MutexLock lock(queue_mu_);
  cancelled_ = true;
  queue_changed_.NotifyAll();
}

void Server::Impl::Session::ReportAccess(int status, int64_t bytes) {
  if (!impl_.options.on_access) return;
  impl_.options.on_access(
      {.request = *request_,
       .status = status,
       .bytes = bytes,
       .duration_us =
           std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started_).count()});
}

void Server::Impl::Session::FailTooLarge() {
  const ServerOptions& o = impl_.options;
  const bool of_route = body_limit_ < o.max_body_bytes && !o.route_body_flag.empty();
  FailFor(of_route ? metrics::Limit::kWriteSize : metrics::Limit::kBodySize, 413,
          StrCat("the body is over the limit of ", body_limit_, " bytes (--",
                 of_route ? o.route_body_flag : "web.max-body-size", ")"));
}

void Server::Impl::Session::FailFor(metrics::Limit limit, int status, std::string_view message) {
  metrics::CountRefusal(limit);
  Fail(status, message);
}

void Server::Impl::Session::Fail(int status, std::string_view message) {
  request_->peer = peer_;
  request_->peer_address = address_;
  Response response;
  impl_.router.Fail(*request_, response, status, message);
  waiting_.store(false, std::memory_order_relaxed);
  read_timer_.cancel();
  impl_.BeginRequest();
  handling_ = true;
  started_ = Clock::now();
  keep_alive_ = false;
  SendWhole(response);
}

void Server::Impl::Session::SendWhole(Response& response) {
  if (closed_) return;
  if (impl_.stopping.load() || peer_gone_) keep_alive_ = false;
  ReportAccess(response.status, int64_t(response.body.size()));
  head_ = Head(response, keep_alive_);
  if (!HasNoBody(response.status))
    StrAppend(head_, "Content-Length: ", response.body.size(), "\r\n");
  head_ += "\r\n";
  body_ = std::move(response.body);
  if (HasNoBody(response.status) || request_->method == "HEAD") body_.clear();
  sent_ = std::min(body_.size(), kWriteSlice);
  SetDeadline(write_timer_, impl_.options.write_timeout_ms);
  const std::array<asio::const_buffer, 2> buffers = {asio::buffer(head_),
                                                     asio::buffer(body_.data(), sent_)};
  WithStream([this, &buffers](auto& stream) {
    asio::async_write(stream, buffers,
                      [self = shared_from_this()](Error error, size_t) { self->SendRest(error); });
  });
}

void Server::Impl::Session::SendRest(Error error) {
  if (error || closed_) return Close();
  if (sent_ == body_.size()) return Done();
  const size_t n = std::min(body_.size() - sent_, kWriteSlice);
  const auto buffer = asio::buffer(body_.data() + sent_, n);
  sent_ += n;
  SetDeadline(write_timer_, impl_.options.write_timeout_ms);
  WithStream([this, &buffer](auto& stream) {
    asio::async_write(stream, buffer,
                      [self = shared_from_this()](Error e, size_t) { self->SendRest(e); });
  });
}

void Server::Impl::Session::Done() {
  write_timer_.cancel();
  EndHandling();
  body_ = std::string();
  if (keep_alive_ && !peer_gone_) return ReadNext(impl_.options.idle_timeout_ms);
  closing_ = true;
  // Only one read at a time: the one under way comes back aborted, and goes on with Linger.
  if (reading_ahead_) {
    Error ignored;
    socket_.cancel(ignored);
    return;
  }
  Linger();
}

void Server::Impl::Session::EndHandling() {
  if (!handling_) return;
  handling_ = false;
  impl_.buffered_bytes.fetch_sub(std::exchange(accounted_bytes_, 0));
  impl_.EndRequest();
}

void Server::Impl::Session::Linger() {
  SetDeadline(read_timer_, kLingerMs);
  if (tls_) {
    tls_->async_shutdown([self = shared_from_this()](Error) { self->Close(); });
    return;
  }
  Error ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  DiscardInput();
}

void Server::Impl::Session::DiscardInput() {
  buffer_.clear();
  socket_.async_read_some(buffer_.prepare(16 << 10),
                          [self = shared_from_this()](Error error, size_t) {
                            if (error || self->closed_) return self->Close();
                            self->DiscardInput();
                          });
}

void Server::Impl::Session::Close() {
  if (closed_) return;
  closed_ = true;
  read_timer_.cancel();
  write_timer_.cancel();
  Error ignored;
  socket_.shutdown(tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
  if (request_) CancelRequest();
  impl_.buffered_bytes.fetch_sub(std::exchange(accounted_bytes_, 0));
  EndHandling();
  impl_.Leave(this);
}

bool Server::Impl::Session::PushPiece(std::string piece) {
  {
    MutexLock lock(queue_mu_);
    while (!cancelled_ && queued_bytes_ > impl_.options.stream_buffer_bytes) {
      queue_changed_.Wait(queue_mu_);
    }
    if (cancelled_) return false;
    queued_bytes_ += int64_t(piece.size());
    queue_.push_back(std::move(piece));
  }
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->SendPieces(); });
  return true;
}

void Server::Impl::Session::EndStream(bool whole) {
  {
    MutexLock lock(queue_mu_);
    stream_ended_ = true;
    stream_whole_ = whole;
  }
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->SendPieces(); });
}

void Server::Impl::Session::SendPieces() {
  if (closed_ || sending_piece_) return;
  bool ended = false, whole = false;
  {
    MutexLock lock(queue_mu_);
    if (queue_.empty()) {
      if (!stream_ended_) return;
      ended = true;
      whole = stream_whole_;
      stream_ended_ = false;
    } else {
      piece_ = std::move(queue_.front());
      queue_.pop_front();
    }
  }
  // A stream that failed half-way ends without its last chunk, so that no client takes it whole.
  if (ended) return whole ? Done() : Close();
  sending_piece_ = true;
  SetDeadline(write_timer_, impl_.options.write_timeout_ms);
  WithStream([this](auto& stream) {
    asio::async_write(
        stream, asio::buffer(piece_),
        [self = shared_from_this()](Error error, size_t) { self->OnPieceSent(error); });
  });
}

void Server::Impl::Session::OnPieceSent(Error error) {
  sending_piece_ = false;
  write_timer_.cancel();
  if (error || closed_) return Close();
  {
    MutexLock lock(queue_mu_);
    queued_bytes_ -= int64_t(piece_.size());
    queue_changed_.NotifyAll();
  }
  SendPieces();
}

}  // namespace vedette::http
