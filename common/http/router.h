#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/http/request.h"

namespace vedette::http {

// What is special about one route.
struct RouteOptions {
  int64_t max_body_bytes = -1;  // -1: the server's limit. After decompression too.
  bool open = false;            // Filters that authenticate let it pass (health checks).
  bool form = true;             // A form body is parameters; false: it is a body like any other.
};

// Router finds the handler for a method and path, and wraps every answer in the house's filters and
// decorators.
//
//   Router router;
//   router.Handle("GET", "/api/v1/label/:name/values", LabelValues);
//   router.Handle("GET", "/static/*rest", Static);       // *rest matches what remains, slashes
//   too. router.Use(BasicAuthFilter(auth));                    // In order; any may answer itself.
//   router.Decorate(SecurityHeaders());                   // Runs on every answer, errors too.
//
// A literal segment wins over :name, and :name over *rest, whatever the order of registration.
// Segments are matched before escapes are undone, so a %2F belongs to its segment. HEAD is served
// by GET's handler (the server drops the body). An unknown path is 404; a known one with another
// method 405 with Allow. Immutable once the server has it: then thread-safe.
class Router {
 public:
  // True: go on. False: `response` is the answer.
  using Filter =
      std::function<bool(Request& request, Response& response, const RouteOptions& route)>;
  using Decorator = std::function<void(const Request& request, Response& response)>;

  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // `method` "*" takes every method. Two handlers for one method and pattern, or a malformed
  // pattern, is a bug and ends the process.
  void Handle(std::string_view method, std::string_view pattern, Handler handler,
              RouteOptions options = {});
  // GET and POST, as Prometheus' query endpoints take both.
  void HandleGetPost(std::string_view pattern, const Handler& handler, RouteOptions options = {});
  // Instead of the plain 404.
  void SetFallback(Handler handler);
  // Answers that no handler makes (404, 405, 400 ...): default is one line of text.
  using ErrorBody =
      std::function<void(const Request&, Response&, int status, std::string_view message)>;
  void SetErrorBody(ErrorBody make);
  void Use(Filter filter);
  void Decorate(Decorator decorator);

  // The options of the route that would serve this, before its body is read; null if none would.
  const RouteOptions* Options(std::string_view method, std::string_view raw_path) const;

  // Filters, handler, decorators. A handler that throws is answered with 500.
  void Dispatch(Request& request, Response& response) const;
  // An error that arises before any handler (bad request, too large), decorated.
  void Fail(const Request& request, Response& response, int status, std::string_view message) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// --web.cors.origin: answers carry CORS headers for origins that the whole regular expression
// matches, as Prometheus does. OPTIONS on any path answers 204 by CorsPreflight, used as a filter.
Result<Router::Decorator> CorsDecorator(std::string_view origin_regex);
Router::Filter CorsPreflight();

// nosniff, no referrer, no framing, same-origin opener; `csp` as Content-Security-Policy unless
// empty. Headers that the handler set stay.
Router::Decorator SecurityHeaders(std::string csp);

}  // namespace vedette::http
