#pragma once

#include "common/http/server_impl.h"

#include <deque>
#include <optional>
#include <string_view>

#include "common/metrics/refusals.h"

namespace vedette::http {

// One connection. Everything happens on its strand, but for Handle and StreamWriter, which run on a
// worker and reach the strand through posts and the mutex of the send queue.
class Server::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  // `too_often`: its request is answered 429, and that was it.
  Session(Impl& impl, Socket socket, std::string peer, std::string address, bool too_often)
      : impl_(impl),
        socket_(std::move(socket)),
        read_timer_(socket_.get_executor()),
        write_timer_(socket_.get_executor()),
        peer_(std::move(peer)),
        address_(std::move(address)),
        too_often_(too_often) {}

  const std::string& address() const { return address_; }
  // Without a whole request: may be closed to make room.
  bool waiting() const { return waiting_.load(std::memory_order_relaxed); }
  int64_t waiting_since_ms() const { return waiting_since_ms_.load(std::memory_order_relaxed); }

  void Run();
  void PostClose();
  void PostCloseIfWaiting();

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

  // Closes the connection then; where that is a limit that a flag sets, it is counted.
  void SetDeadline(Timer& timer, int64_t ms,
                   std::optional<metrics::Limit> limit = std::nullopt);
  void Begin();

  // Waits for the next request's first byte; then the header has its own deadline.
  void ReadNext(int64_t wait_ms);
  void ReadHeader();
  void OnHeader(Error error);
  void FillRequest();
  std::string PeerName();
  void ReadBody();
  void OnBody(Error error);

  // The request is read: a worker answers it, while we listen whether the client stays.
  void OnWhole();
  void ReadAhead();
  void OnReadAhead(Error error, size_t n);
  void CancelRequest();

  // curl --data-binary says that everything is a form; a route that takes bodies knows better.
  Status ReadForm();

  // On a worker.
  void Handle();
  bool DecodeBody(Response& response);

  // A worker decodes one body after the other into the same memory: fresh memory for each would be
  // asked of the kernel, page by page, and filled with zeroes first.
  static std::string& SpareBuffer();
  void KeepBuffer();
  void CompressBody(Response& response);
  void HandleStream(Response& response);

  void ReportAccess(int status, int64_t bytes);
  void FailTooLarge();

  // An answer to what never became a request; the connection ends with it.
  void Fail(int status, std::string_view message);
  // The same, for a limit: it is counted, and `message` names its flag.
  void FailFor(metrics::Limit limit, int status, std::string_view message);
  void SendWhole(Response& response);
  void SendRest(Error error);

  // The answer is sent.
  void Done();
  void EndHandling();

  // Closing with unread bytes would reset the connection, and the client might lose the answer: say
  // that we are done, and read what it still sends, for a little while.
  void Linger();
  void DiscardInput();
  void Close();

  // Streams: a worker pushes pieces, the strand sends them.

  // Blocks while too much waits. False: the client has gone.
  bool PushPiece(std::string piece) VEDETTE_EXCLUDES(queue_mu_);
  void EndStream(bool whole) VEDETTE_EXCLUDES(queue_mu_);
  void SendPieces() VEDETTE_EXCLUDES(queue_mu_);
  void OnPieceSent(Error error) VEDETTE_EXCLUDES(queue_mu_);

  Impl& impl_;
  Socket socket_;
  std::optional<asio::ssl::stream<Socket&>> tls_;
  Timer read_timer_;
  Timer write_timer_;
  const std::string peer_;
  const std::string address_;
  const bool too_often_;
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

}  // namespace vedette::http
