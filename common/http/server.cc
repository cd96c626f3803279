#include "common/http/server.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>

#include <utility>  // Asio of Boost 1.74 forgets it under g++ 12.

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <ctime>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/compress/compress.h"
#include "common/http/message.h"
#include "common/http/worker_pool.h"
#include "common/log/log.h"

namespace vedette::http {
namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using Error = boost::system::error_code;
using Strand = asio::strand<asio::io_context::executor_type>;
using Socket = asio::basic_stream_socket<tcp, Strand>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Strand>;
using Clock = std::chrono::steady_clock;

constexpr size_t kWriteSlice = 256 << 10;
constexpr size_t kStreamChunk = 32 << 10;
constexpr int64_t kLingerMs = 2'000;
// Below it the header of the compressed form eats what is saved.
constexpr size_t kMinCompressBytes = 128;

int64_t SinceMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
      .count();
}

std::string HttpDate() {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm tm{};
  gmtime_r(&now, &tm);
  char text[96];
  snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT", kDays[tm.tm_wday], tm.tm_mday,
           kMonths[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
  return text;
}

bool CompressibleType(std::string_view type) {
  type = type.substr(0, type.find(';'));
  for (std::string_view word : {"json", "javascript", "xml", "x-ndjson", "openmetrics", "yaml"}) {
    if (type.find(word) != std::string_view::npos) return true;
  }
  return type.starts_with("text/") && type != "text/event-stream";
}

// What this answer is best sent in.
compress::Encoding ChooseEncoding(const Request& request) {
  const std::string_view accept = request.headers.Get("Accept-Encoding");
  const int zstd = QualityOf(accept, "zstd", 0);
  const int gzip = QualityOf(accept, "gzip", 0);
  const int identity = QualityOf(accept, "identity", 1);
  if (zstd > 0 && zstd >= gzip && zstd >= identity) return compress::Encoding::kZstd;
  if (gzip > 0 && gzip >= identity) return compress::Encoding::kGzip;
  return compress::Encoding::kIdentity;
}

bool HasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

std::string Head(const Response& response, bool keep_alive) {
  std::string out =
      StrCat("HTTP/1.1 ", response.status, " ", ReasonPhrase(response.status), "\r\n");
  for (const auto& [name, value] : response.headers) {
    StrAppend(out, name, ": ");
    // A line break in a value would begin a header of the attacker's choice.
    for (char c : value) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
    out += "\r\n";
  }
  StrAppend(out, "Date: ", HttpDate(), "\r\nConnection: ", keep_alive ? "keep-alive" : "close",
            "\r\n");
  return out;
}

Status SplitListen(const std::string& listen, std::string& host, uint16_t& port) {
  const size_t colon = listen.rfind(':');
  unsigned value = 0;
  const char* first = listen.data() + (colon == std::string::npos ? 0 : colon + 1);
  const char* last = listen.data() + listen.size();
  const auto [end, error] = std::from_chars(first, last, value);
  if (colon == std::string::npos || error != std::errc() || end != last || value > 65535) {
    return InvalidArgument(StrCat("listen address ", Quoted(listen), ": want host:port or :port"));
  }
  host = listen.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  port = uint16_t(value);
  return {};
}

}  // namespace

struct Server::Impl : std::enable_shared_from_this<Impl> {
  class Session;
  class StreamWriter;
  struct Listener;

  Impl(ServerOptions o, Router r)
      : options(std::move(o)),
        router(std::move(r)),
        io(std::make_unique<asio::io_context>(options.io_threads)),
        workers("http-work", options.worker_threads, size_t(options.max_queued_requests)) {}

  Status Listen();
  void Accept(Listener& listener);
  void Admit(Socket socket);
  void Leave(Session* session);
  void Stop(int64_t deadline_ms);

  void BeginRequest() {
    requests.fetch_add(1, std::memory_order_relaxed);
    MutexLock lock(mu);
    ++in_flight;
  }
  void EndRequest() {
    MutexLock lock(mu);
    if (--in_flight == 0) changed.NotifyAll();
  }
  // A thread for one long stream; false if there are too many.
  bool StartStreamThread(std::function<void()> work);

  const ServerOptions options;
  const Router router;
  std::unique_ptr<asio::io_context> io;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<uint16_t> ports;
  std::vector<std::thread> io_threads;
  WorkerPool workers;

  std::atomic<bool> stopping{false};
  std::atomic<int64_t> buffered_bytes{0};
  std::atomic<int64_t> accepted{0}, evicted{0}, refused{0}, requests{0};

  Mutex mu;
  CondVar changed;
  std::unordered_map<Session*, std::shared_ptr<Session>> sessions VEDETTE_GUARDED_BY(mu);
  std::map<std::string, int> per_peer VEDETTE_GUARDED_BY(mu);
  int in_flight VEDETTE_GUARDED_BY(mu) = 0;
  int stream_threads VEDETTE_GUARDED_BY(mu) = 0;

  Mutex stop_mu;
  bool stopped VEDETTE_GUARDED_BY(stop_mu) = false;
};

struct Server::Impl::Listener {
  explicit Listener(asio::io_context& io)
      : acceptor(asio::make_strand(io)), retry(asio::make_strand(io)) {}
  asio::basic_socket_acceptor<tcp, Strand> acceptor;
  Timer retry;
};

// One connection. Everything happens on its strand, but for Handle and StreamWriter, which run on a
// worker and reach the strand through posts and the mutex of the send queue.
class Server::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Impl& impl, Socket socket, std::string peer, std::string address)
      : impl_(impl),
        socket_(std::move(socket)),
        read_timer_(socket_.get_executor()),
        write_timer_(socket_.get_executor()),
        peer_(std::move(peer)),
        address_(std::move(address)) {}

  const std::string& address() const { return address_; }
  // Without a whole request: may be closed to make room.
  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }
  int64_t waiting_since_ms() const { return waiting_since_ms_.load(std::memory_order_relaxed); }

  void Run() {
    Touch();
    asio::dispatch(socket_.get_executor(), [self = shared_from_this()] { self->Begin(); });
  }
  void PostClose() {
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->Close(); });
  }
  void PostCloseIfWaiting() {
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
      if (self->waiting()) self->Close();
    });
  }

 private:
  friend class StreamWriter;

  template <typename Fn>
  void WithStream(Fn fn) {
    if (tls_) {
      fn(*tls_);
    } else {
      fn(socket_);
    }
  }

  void Touch() {
    waiting_since_ms_.store(SinceMs(), std::memory_order_relaxed);
    waiting_.store(true, std::memory_order_relaxed);
  }

  void SetDeadline(Timer& timer, int64_t ms) {
    timer.expires_after(std::chrono::milliseconds(ms));
    timer.async_wait([self = shared_from_this()](Error error) {
      if (!error) self->Close();
    });
  }

  void Begin() {
    if (!impl_.options.tls_context) return ReadNext(impl_.options.header_timeout_ms);
    const std::shared_ptr<SSL_CTX> context = impl_.options.tls_context();
    if (context == nullptr) return Close();
    SSL_CTX_up_ref(context.get());  // The wrapper frees its own reference.
    asio::ssl::context wrapper(context.get());
    tls_.emplace(socket_, wrapper);
    SetDeadline(read_timer_, impl_.options.header_timeout_ms);
    tls_->async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](Error error) {
      if (error) return self->Close();
      self->ReadNext(self->impl_.options.header_timeout_ms);
    });
  }

  // Waits for the next request's first byte; then the header has its own deadline.
  void ReadNext(int64_t wait_ms) {
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

  void ReadHeader() {
    parser_.emplace();
    parser_->header_limit(uint32_t(impl_.options.max_header_bytes));
    parser_->body_limit(uint64_t(impl_.options.max_body_bytes));
    SetDeadline(read_timer_, impl_.options.header_timeout_ms);
    WithStream([this](auto& stream) {
      beast_http::async_read_header(
          stream, buffer_, *parser_,
          [self = shared_from_this()](Error error, size_t) { self->OnHeader(error); });
    });
  }

  void OnHeader(Error error) {
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
      return Fail(431, StrCat("the header is over the limit of ", impl_.options.max_header_bytes,
                              " bytes"));
    }
    if (error == beast_http::error::body_limit) return FailTooLarge();
    if (error) return Fail(400, StrCat("not an HTTP request: ", error.message()));
    FillRequest();
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
    SetDeadline(read_timer_, impl_.options.body_timeout_ms);
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

  void FillRequest() {
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

  std::string PeerName() {
    SSL* ssl = tls_->native_handle();
    if (SSL_get_verify_result(ssl) != X509_V_OK) return "";
    const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(ssl),
                                                             X509_free);
    if (certificate == nullptr) return "";
    char name[256] = "";
    const int n = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()),
                                            NID_commonName, name, sizeof name);
    return n > 0 ? std::string(name, size_t(n)) : "";
  }

  void ReadBody() {
    WithStream([this](auto& stream) {
      beast_http::async_read_some(
          stream, buffer_, *parser_,
          [self = shared_from_this()](Error error, size_t) { self->OnBody(error); });
    });
  }

  void OnBody(Error error) {
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
      return Fail(503, StrCat("request bodies in memory are over the limit of ",
                              impl_.options.max_buffered_bytes, " bytes"));
    }
    if (!parser_->is_done()) return ReadBody();
    OnWhole();
  }

  // The request is read: a worker answers it, while we listen whether the client stays.
  void OnWhole() {
    read_timer_.cancel();
    request_->body = std::move(parser_->get().body());
    waiting_.store(false, std::memory_order_relaxed);
    impl_.BeginRequest();
    handling_ = true;
    started_ = Clock::now();
    ReadAhead();
    if (!impl_.workers.Submit([self = shared_from_this()] { self->Handle(); })) {
      auto response = std::make_shared<Response>();
      impl_.router.Fail(*request_, *response, 503, "too many requests wait for a worker");
      SendWhole(*response);
    }
  }

  void ReadAhead() {
    // What a pipelining client has sent already proves that it is there.
    if (reading_ahead_ || buffer_.size() > 0) return;
    reading_ahead_ = true;
    WithStream([this](auto& stream) {
      stream.async_read_some(
          buffer_.prepare(4096),
          [self = shared_from_this()](Error error, size_t n) { self->OnReadAhead(error, n); });
    });
  }

  void OnReadAhead(Error error, size_t n) {
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

  void CancelRequest() {
    request_->cancellation->Cancel();
    MutexLock lock(queue_mu_);
    cancelled_ = true;
    queue_changed_.NotifyAll();
  }

  // curl --data-binary says that everything is a form; a route that takes bodies knows better.
  Status ReadForm() {
    const RouteOptions* route = impl_.router.Options(request_->method, request_->raw_path);
    return route == nullptr || route->form ? MergeForm(*request_) : Status();
  }

  // On a worker.
  void Handle() {
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
      if (impl_.StartStreamThread(
              [self = shared_from_this(), kept] { self->HandleStream(*kept); })) {
        return;
      }
      response = Response();
      impl_.router.Fail(*request_, response, 503,
                        StrCat("more than ", impl_.options.max_stream_threads, " streams at once"));
    }
    CompressBody(response);
    asio::post(socket_.get_executor(), [self = shared_from_this(),
                                        answer = std::make_shared<Response>(std::move(response))] {
      self->SendWhole(*answer);
    });
  }

  bool DecodeBody(Response& response) {
    const std::string_view name = Trim(request_->headers.Get("Content-Encoding"));
    if (name.empty()) return true;
    const auto encoding = compress::EncodingFromName(name);
    if (!encoding) {
      impl_.router.Fail(*request_, response, 415,
                        StrCat("Content-Encoding ", Quoted(name),
                               " is not spoken here, only gzip, zstd and snappy"));
      return false;
    }
    std::string& plain = SpareBuffer();
    const Status status =
        compress::Decompress(*encoding, request_->body, size_t(body_limit_), plain);
    if (!status.ok()) {
      impl_.router.Fail(*request_, response,
                        status.code() == StatusCode::kResourceExhausted ? 413 : 400,
                        StrCat("body: ", status.message()));
      return false;
    }
    request_->body.swap(plain);
    plain = std::string();
    decoded_ = true;
    return true;
  }

  // A worker decodes one body after the other into the same memory: fresh memory for each would be
  // asked of the kernel, page by page, and filled with zeroes first.
  static std::string& SpareBuffer() {
    thread_local std::string buffer;
    return buffer;
  }
  void KeepBuffer() {
    constexpr size_t kMaxSpareBytes = 1 << 20;
    if (decoded_ && request_->body.capacity() <= kMaxSpareBytes) {
      SpareBuffer().swap(request_->body);
    }
    decoded_ = false;
  }

  void CompressBody(Response& response) {
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

  void HandleStream(Response& response);

  void ReportAccess(int status, int64_t bytes) {
    if (!impl_.options.on_access) return;
    impl_.options.on_access({.request = *request_,
                             .status = status,
                             .bytes = bytes,
                             .duration_us = std::chrono::duration_cast<std::chrono::microseconds>(
                                                Clock::now() - started_)
                                                .count()});
  }

  void FailTooLarge() {
    Fail(413, StrCat("the body is over the limit of ", body_limit_, " bytes"));
  }

  // An answer to what never became a request; the connection ends with it.
  void Fail(int status, std::string_view message) {
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

  void SendWhole(Response& response) {
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
      asio::async_write(stream, buffers, [self = shared_from_this()](Error error, size_t) {
        self->SendRest(error);
      });
    });
  }

  void SendRest(Error error) {
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

  // The answer is sent.
  void Done() {
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

  void EndHandling() {
    if (!handling_) return;
    handling_ = false;
    impl_.buffered_bytes.fetch_sub(std::exchange(accounted_bytes_, 0));
    impl_.EndRequest();
  }

  // Closing with unread bytes would reset the connection, and the client might lose the answer: say
  // that we are done, and read what it still sends, for a little while.
  void Linger() {
    SetDeadline(read_timer_, kLingerMs);
    if (tls_) {
      tls_->async_shutdown([self = shared_from_this()](Error) { self->Close(); });
      return;
    }
    Error ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    DiscardInput();
  }

  void DiscardInput() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(16 << 10),
                            [self = shared_from_this()](Error error, size_t) {
                              if (error || self->closed_) return self->Close();
                              self->DiscardInput();
                            });
  }

  void Close() {
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

  // Streams: a worker pushes pieces, the strand sends them.

  // Blocks while too much waits. False: the client has gone.
  bool PushPiece(std::string piece) VEDETTE_EXCLUDES(queue_mu_) {
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

  void EndStream(bool whole) VEDETTE_EXCLUDES(queue_mu_) {
    {
      MutexLock lock(queue_mu_);
      stream_ended_ = true;
      stream_whole_ = whole;
    }
    asio::post(socket_.get_executor(), [self = shared_from_this()] { self->SendPieces(); });
  }

  void SendPieces() VEDETTE_EXCLUDES(queue_mu_) {
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

  void OnPieceSent(Error error) VEDETTE_EXCLUDES(queue_mu_) {
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

  Impl& impl_;
  Socket socket_;
  std::optional<asio::ssl::stream<Socket&>> tls_;
  Timer read_timer_;
  Timer write_timer_;
  const std::string peer_;
  const std::string address_;
  std::atomic<bool> waiting_{true};
  std::atomic<int64_t> waiting_since_ms_{0};

  boost::beast::flat_buffer buffer_;
  std::optional<beast_http::request_parser<beast_http::string_body>> parser_;
  std::shared_ptr<Request> request_;
  int64_t body_limit_ = 0;
  int64_t accounted_bytes_ = 0;
  Clock::time_point started_;
  std::string head_;
  std::string body_;
  size_t sent_ = 0;
  bool keep_alive_ = false;
  bool http_1_0_ = false;
  bool handling_ = false;
  bool decoded_ = false;  // The body is in a buffer of its worker.
  bool reading_ahead_ = false;
  bool peer_gone_ = false;
  bool closing_ = false;
  bool closed_ = false;
  bool sending_piece_ = false;
  std::string piece_;

  Mutex queue_mu_;
  CondVar queue_changed_;
  std::deque<std::string> queue_ VEDETTE_GUARDED_BY(queue_mu_);
  int64_t queued_bytes_ VEDETTE_GUARDED_BY(queue_mu_) = 0;
  bool cancelled_ VEDETTE_GUARDED_BY(queue_mu_) = false;
  bool stream_ended_ VEDETTE_GUARDED_BY(queue_mu_) = false;
  bool stream_whole_ VEDETTE_GUARDED_BY(queue_mu_) = false;
};

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

Status Server::Impl::Listen() {
  for (const std::string& listen : options.listen) {
    std::string host;
    uint16_t port = 0;
    VEDETTE_RETURN_IF_ERROR(SplitListen(listen, host, port));
    Error error;
    tcp::endpoint endpoint(tcp::v6(), port);
    if (!host.empty()) {
      tcp::resolver resolver(*io);
      const auto found = resolver.resolve(host, StrCat(port), tcp::resolver::passive, error);
      if (error || found.empty()) {
        return Unavailable(StrCat("listen address ", Quoted(listen), ": ", error.message()));
      }
      endpoint = found.begin()->endpoint();
    }
    auto listener = std::make_unique<Listener>(*io);
    auto& acceptor = listener->acceptor;
    acceptor.open(endpoint.protocol(), error);
    if (error && host.empty()) {  // A machine without IPv6.
      endpoint = tcp::endpoint(tcp::v4(), port);
      acceptor.open(endpoint.protocol(), error);
    }
    if (!error && host.empty() && endpoint.protocol() == tcp::v6()) {
      acceptor.set_option(asio::ip::v6_only(false), error);
    }
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return Unavailable(StrCat("listen on ", Quoted(listen), ": ", error.message()));
    ports.push_back(acceptor.local_endpoint(error).port());
    listeners.push_back(std::move(listener));
  }
  for (auto& listener : listeners) {
    asio::post(listener->acceptor.get_executor(), [this, l = listener.get()] { Accept(*l); });
  }
  for (int i = 0; i < std::max(1, options.io_threads); ++i) {
    io_threads.emplace_back([this, i] {
      pthread_setname_np(pthread_self(), StrCat("http-io-", i).c_str());
      const auto keep = asio::make_work_guard(*io);
      io->run();
    });
  }
  return {};
}

void Server::Impl::Accept(Listener& listener) {
  listener.acceptor.async_accept(
      asio::make_strand(*io), [this, &listener](Error error, Socket socket) {
        if (stopping.load()) return;
        if (!error) {
          Admit(std::move(socket));
          return Accept(listener);
        }
        if (error == asio::error::operation_aborted) return;
        // Out of descriptors, most likely: a moment later some are free. Trying at once would spin.
        log::Warn("accept failed", {{"err", error.message()}});
        listener.retry.expires_after(std::chrono::milliseconds(100));
        listener.retry.async_wait([this, &listener](Error e) {
          if (e || stopping.load()) return;
          asio::post(listener.acceptor.get_executor(), [this, &listener] { Accept(listener); });
        });
      });
}

void Server::Impl::Admit(Socket socket) {
  accepted.fetch_add(1, std::memory_order_relaxed);
  Error error;
  const tcp::endpoint remote = socket.remote_endpoint(error);
  if (error) return;  // Gone already.
  socket.set_option(tcp::no_delay(true), error);
  asio::ip::address ip = remote.address();
  if (ip.is_v6() && ip.to_v6().is_v4_mapped()) {
    ip = asio::ip::make_address_v4(asio::ip::v4_mapped, ip.to_v6());
  }
  const std::string address = ip.to_string();
  const std::string peer =
      ip.is_v6() ? StrCat("[", address, "]:", remote.port()) : StrCat(address, ":", remote.port());
  auto session = std::make_shared<Session>(*this, std::move(socket), peer, address);
  std::shared_ptr<Session> victim;
  {
    MutexLock lock(mu);
    const bool peer_full = options.max_connections_per_peer > 0 &&
                           per_peer[address] >= options.max_connections_per_peer;
    if (peer_full || int(sessions.size()) >= options.max_connections) {
      for (const auto& [key, candidate] : sessions) {
        if (!candidate->waiting() || (peer_full && candidate->address() != address)) continue;
        if (victim == nullptr || candidate->waiting_since_ms() < victim->waiting_since_ms()) {
          victim = candidate;
        }
      }
      if (victim == nullptr) {
        refused.fetch_add(1, std::memory_order_relaxed);
        if (per_peer[address] == 0) per_peer.erase(address);
        return;  // The socket closes with `session`.
      }
      // Out of the books at once, so that the count is right before its strand has closed it.
      sessions.erase(victim.get());
      if (--per_peer[victim->address()] <= 0) per_peer.erase(victim->address());
    }
    sessions.emplace(session.get(), session);
    ++per_peer[address];
  }
  if (victim != nullptr) {
    evicted.fetch_add(1, std::memory_order_relaxed);
    victim->PostClose();
  }
  session->Run();
}

void Server::Impl::Leave(Session* session) {
  std::shared_ptr<Session> kept;  // Its destructor does not run under the lock.
  MutexLock lock(mu);
  auto it = sessions.find(session);
  if (it == sessions.end()) return;
  kept = std::move(it->second);
  sessions.erase(it);
  if (--per_peer[session->address()] <= 0) per_peer.erase(session->address());
}

bool Server::Impl::StartStreamThread(std::function<void()> work) {
  {
    MutexLock lock(mu);
    if (stopping.load() || stream_threads >= options.max_stream_threads) return false;
    ++stream_threads;
  }
  // Detached, and counted: Stop waits until the last has gone.
  std::thread([this, work = std::move(work)]() mutable {
    pthread_setname_np(pthread_self(), "http-stream");
    work();
    work = nullptr;  // Lets go of the session before the server may.
    MutexLock lock(mu);
    --stream_threads;
    changed.NotifyAll();
  }).detach();
  return true;
}

void Server::Impl::Stop(int64_t deadline_ms) {
  MutexLock stop_lock(stop_mu);
  if (stopped) return;
  stopped = true;
  stopping.store(true);
  for (auto& listener : listeners) {
    asio::post(listener->acceptor.get_executor(), [l = listener.get()] {
      Error ignored;
      l->acceptor.close(ignored);
      l->retry.cancel();
    });
  }
  const auto all_sessions = [this] {
    std::vector<std::shared_ptr<Session>> out;
    MutexLock lock(mu);
    for (const auto& [key, session] : sessions) out.push_back(session);
    return out;
  };
  for (const auto& session : all_sessions()) session->PostCloseIfWaiting();
  {
    const int64_t end_ms = SinceMs() + deadline_ms;
    MutexLock lock(mu);
    while (in_flight > 0) {
      const int64_t left_ms = end_ms - SinceMs();
      if (left_ms <= 0) break;
      changed.WaitFor(mu, left_ms);
    }
  }
  for (const auto& session : all_sessions()) session->PostClose();
  workers.Stop();
  {
    MutexLock lock(mu);
    while (stream_threads > 0) changed.Wait(mu);
  }
  io->stop();
  for (std::thread& thread : io_threads) thread.join();
  // The books go before the sockets' io_context does.
  std::unordered_map<Session*, std::shared_ptr<Session>> left;
  {
    MutexLock lock(mu);
    left.swap(sessions);
  }
  left.clear();
  listeners.clear();
  io.reset();
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop(1'000); }

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options, Router router) {
  auto impl = std::make_shared<Impl>(std::move(options), std::move(router));
  if (Status status = impl->Listen(); !status.ok()) {
    impl->Stop(0);
    return status;
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

const std::vector<uint16_t>& Server::ports() const { return impl_->ports; }
void Server::Stop(int64_t deadline_ms) { impl_->Stop(deadline_ms); }

Server::Stats Server::stats() const {
  Stats stats;
  stats.accepted = impl_->accepted.load();
  stats.evicted = impl_->evicted.load();
  stats.refused = impl_->refused.load();
  stats.requests = impl_->requests.load();
  MutexLock lock(impl_->mu);
  stats.connections = int(impl_->sessions.size());
  stats.in_flight = impl_->in_flight;
  return stats;
}

}  // namespace vedette::http
