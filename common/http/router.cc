#include "common/http/router.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <utility>

#include "common/base/strings.h"
#include "common/http/request_id.h"
#include "common/log/request_scope.h"

namespace vedette::http {
namespace {

[[noreturn]] void Die(const std::string& what) {
  fprintf(stderr, "http::Router: %s\n", what.c_str());
  std::abort();
}

}  // namespace

struct Router::State {
  struct Route {
    Handler handler;
    RouteOptions options;
    std::vector<std::string> names;  // Of the parameters, in order.
  };
  // A tree of path segments.
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literal;
    std::unique_ptr<Node> parameter;
    std::map<std::string, Route, std::less<>> routes;  // By method.
    std::map<std::string, Route, std::less<>> rest;    // Those whose pattern ends in *name.
  };
  struct Match {
    const std::map<std::string, Route, std::less<>>* routes = nullptr;
    std::vector<std::string_view> values;  // Still escaped.
  };

  Node root;
  Handler fallback;
  ErrorBody error_body = [](const Request&, Response& response, int status,
                            std::string_view message) { response.SetError(status, message); };
  std::vector<Filter> filters;
  std::vector<Decorator> decorators;

  static const Route* ForMethod(const std::map<std::string, Route, std::less<>>& routes,
                                std::string_view method) {
    if (auto it = routes.find(method); it != routes.end()) return &it->second;
    if (method == "HEAD") {
      if (auto it = routes.find("GET"); it != routes.end()) return &it->second;
    }
    if (auto it = routes.find("*"); it != routes.end()) return &it->second;
    return nullptr;
  }

  // Depth first, the more exact branch first. `path` is what remains, without its leading slash.
  // Recursion ends with the pattern's depth, not the path's: a path goes no deeper than the tree.
  static bool Walk(const Node& node, std::string_view path, bool at_end, Match& match) {
    if (at_end) {
      if (node.routes.empty()) return false;
      match.routes = &node.routes;
      return true;
    }
    const size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    const bool last = slash == std::string_view::npos;
    const std::string_view remaining = last ? std::string_view() : path.substr(slash + 1);
    Result<std::string> decoded = UrlDecode(segment, false);
    if (decoded.ok()) {
      if (auto it = node.literal.find(*decoded); it != node.literal.end()) {
        if (Walk(*it->second, remaining, last, match)) return true;
      }
    }
    if (node.parameter != nullptr && !segment.empty()) {
      match.values.push_back(segment);
      if (Walk(*node.parameter, remaining, last, match)) return true;
      match.values.pop_back();
    }
    if (!node.rest.empty()) {
      match.values.push_back(path);
      match.routes = &node.rest;
      return true;
    }
    return false;
  }

  Match Find(std::string_view raw_path) const {
    Match match;
    if (raw_path.starts_with('/')) Walk(root, raw_path.substr(1), false, match);
    return match;
  }

  void Answer(const Request& request, Response& response, int status,
              std::string_view message) const {
    error_body(request, response, status, message);
    response.status = status;
  }

  void Serve(Request& request, Response& response) const {
    Match match = Find(request.raw_path);
    const Route* route =
        match.routes == nullptr ? nullptr : ForMethod(*match.routes, request.method);
    static const RouteOptions kDefault;
    const RouteOptions& options = route == nullptr ? kDefault : route->options;
    log::RequestScope scope;
    for (const Filter& filter : filters) {
      if (!filter(request, response, options)) return;
      scope.Set(request.headers.Get(kRequestId));  // The first of them has given it one.
    }
    if (match.routes == nullptr) {
      if (fallback) return fallback(request, response);
      return Answer(request, response, 404, StrCat("no such page: ", Quoted(request.path)));
    }
    if (route == nullptr) {
      std::string allow;
      for (const auto& [method, unused] : *match.routes) {
        StrAppend(allow, allow.empty() ? "" : ", ", method);
        if (method == "GET") StrAppend(allow, ", HEAD");
      }
      response.headers.Set("Allow", allow);
      return Answer(request, response, 405,
                    StrCat(request.method, " is not served here, only ", allow));
    }
    for (size_t i = 0; i < route->names.size(); ++i) {
      Result<std::string> value = UrlDecode(match.values[i], false);
      if (!value.ok()) return Answer(request, response, 400, value.status().message());
      request.path_params.Add(route->names[i], *value);
    }
    route->handler(request, response);
  }
};

Router::Router() : state_(std::make_unique<State>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::Handle(std::string_view method, std::string_view pattern, Handler handler,
                    RouteOptions options) {
  if (!pattern.starts_with('/')) Die(StrCat("a pattern starts with a slash: ", Quoted(pattern)));
  State::Node* node = &state_->root;
  State::Route route{std::move(handler), options, {}};
  std::map<std::string, State::Route, std::less<>>* routes = nullptr;
  const std::vector<std::string_view> segments = Split(pattern.substr(1), '/');
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::string_view segment = segments[i];
    if (segment.starts_with('*')) {
      if (i + 1 != segments.size()) Die(StrCat("* is not the last segment: ", Quoted(pattern)));
      route.names.emplace_back(segment.substr(1));
      routes = &node->rest;
      break;
    }
    std::unique_ptr<State::Node>* next = nullptr;
    if (segment.starts_with(':')) {
      route.names.emplace_back(segment.substr(1));
      next = &node->parameter;
    } else {
      next = &node->literal[std::string(segment)];
    }
    if (*next == nullptr) *next = std::make_unique<State::Node>();
    node = next->get();
    routes = &node->routes;
  }
  if (!routes->emplace(method, std::move(route)).second) {
    Die(StrCat("two handlers for ", method, " ", pattern));
  }
}

void Router::HandleGetPost(std::string_view pattern, const Handler& handler, RouteOptions options) {
  Handle("GET", pattern, handler, options);
  Handle("POST", pattern, handler, options);
}

void Router::SetFallback(Handler handler) { state_->fallback = std::move(handler); }
void Router::SetErrorBody(ErrorBody make) { state_->error_body = std::move(make); }
void Router::Use(Filter filter) { state_->filters.push_back(std::move(filter)); }
void Router::Decorate(Decorator decorator) { state_->decorators.push_back(std::move(decorator)); }

const RouteOptions* Router::Options(std::string_view method, std::string_view raw_path) const {
  const State::Match match = state_->Find(raw_path);
  if (match.routes == nullptr) return nullptr;
  const State::Route* route = State::ForMethod(*match.routes, method);
  return route == nullptr ? nullptr : &route->options;
}

void Router::Dispatch(Request& request, Response& response) const {
  try {
    state_->Serve(request, response);
  } catch (const std::exception& e) {  // A library's, that its module did not catch.
    response = Response();
    state_->Answer(request, response, 500, StrCat("internal error: ", e.what()));
  }
  for (const Decorator& decorate : state_->decorators) decorate(request, response);
}

void Router::Fail(const Request& request, Response& response, int status,
                  std::string_view message) const {
  state_->Answer(request, response, status, message);
  for (const Decorator& decorate : state_->decorators) decorate(request, response);
}

}  // namespace vedette::http
