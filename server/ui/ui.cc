#include "server/ui/ui.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/http/message.h"
#include "common/http/request.h"
#include "server/ui/asset.h"

namespace vedette::ui {
namespace {

// base-uri is 'self' for the one <base> that carries the route prefix. Styles are set by script
// (CSSOM, adopted sheets) and files only, so nothing inline is allowed.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'";
constexpr std::string_view kForever = "public, max-age=31536000, immutable";
constexpr std::string_view kAskAgain = "no-cache";
constexpr std::string_view kBase = "<base href=\"/\"";

// Every address that the page itself draws; it knows the same list (src/app/shell.tsx).
constexpr std::string_view kPages[] = {
    "/",
    "/query",
    "/dashboards",
    "/d/:uid",
    "/d/:uid/:slug",
    "/alerts",
    "/rules",
    "/alerting",
    "/silences",
    "/silences/:id",
    "/targets",
    "/service-discovery",
    "/agents",
    "/rehearse",
    "/status",
    "/tsdb-status",
    "/queries",
    "/flags",
    "/config",
    "/alertmanager-discovery",
    // Grafana's old addresses; the page knows where they lead.
    "/dashboard/db/:slug",
    "/d-solo/:uid",
    "/d-solo/:uid/:slug",
    "/alerting/list",
    "/alerting/notifications",
    "/alerting/groups",
    "/alerting/silences",
    "/alerting/silence/new",
};

struct Redirect {
  std::string_view from;
  std::string_view to;
};
constexpr Redirect kRedirects[] = {
    {"/graph", "/query"},
    {"/explore", "/query"},
    {"/new/graph", "/query"},
    {"/new/alerts", "/alerts"},
    {"/new/rules", "/rules"},
    {"/new/targets", "/targets"},
    {"/classic/graph", "/query"},
    {"/classic/alerts", "/alerts"},
    {"/classic/rules", "/rules"},
    {"/classic/targets", "/targets"},
    {"/classic/service-discovery", "/service-discovery"},
    {"/classic/status", "/status"},
    {"/classic/tsdb-status", "/tsdb-status"},
    {"/classic/flags", "/flags"},
    {"/classic/config", "/config"},
    {"/new/service-discovery", "/service-discovery"},
    {"/new/status", "/status"},
    {"/new/tsdb-status", "/tsdb-status"},
    {"/new/flags", "/flags"},
    {"/new/config", "/config"},
    {"/new/alertmanager-discovery", "/alertmanager-discovery"},
    {"/discovered-alertmanagers", "/alertmanager-discovery"},
};

// RFC 9110: a list of tags, weak or strong, or "*".
bool Matches(std::string_view if_none_match, std::string_view etag) {
  while (!if_none_match.empty()) {
    const size_t comma = if_none_match.find(',');
    std::string_view tag = Trim(if_none_match.substr(0, comma));
    if (tag.substr(0, 2) == "W/") tag.remove_prefix(2);
    if (tag == etag || tag == "*") return true;
    if (comma == std::string_view::npos) break;
    if_none_match.remove_prefix(comma + 1);
  }
  return false;
}

void Send(const http::Request& request, http::Response& response, const Asset& asset,
          std::string_view etag, std::string_view cache) {
  response.headers.Set("ETag", etag);
  response.headers.Set("Cache-Control", cache);
  response.headers.Set("Vary", "Accept-Encoding");
  if (Matches(request.headers.Get("If-None-Match"), etag)) {
    response.status = 304;
    return;
  }
  const std::string_view accept = request.headers.Get("Accept-Encoding");
  const int br = asset.brotli.empty() ? 0 : http::QualityOf(accept, "br", 0);
  const int gzip = asset.gzip.empty() ? 0 : http::QualityOf(accept, "gzip", 0);
  const int plain = http::QualityOf(accept, "identity", 1);
  std::string_view body = asset.plain;
  if (br > 0 && br >= gzip && br >= plain) {
    body = asset.brotli;
    response.headers.Set("Content-Encoding", "br");
  } else if (gzip > 0 && gzip >= plain) {
    body = asset.gzip;
    response.headers.Set("Content-Encoding", "gzip");
  }
  response.compressible = false;
  response.SetBody(asset.mime, std::string(body));
}

std::string_view CacheOf(const Asset& asset) {
  return asset.path.substr(0, 7) == "assets/" ? kForever : kAskAgain;
}

bool WantsHtml(const http::Request& request) {
  const std::string_view accept = request.headers.Get("Accept");
  return accept.empty() || accept.find("text/html") != std::string_view::npos ||
         accept.find("*/*") != std::string_view::npos;
}

// The page with its prefix written in; packed forms only fit the page without one.
struct IndexPage {
  Asset asset;
  std::string text;
  std::string etag;
};

std::string EscapeAttribute(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '<') {
      out += "&lt;";
    } else {
      out += c;
    }
  }
  return out;
}

std::shared_ptr<const IndexPage> MakeIndex(const Asset& index, const std::string& prefix) {
  auto page = std::make_shared<IndexPage>();
  page->asset = index;
  page->etag = StrCat("\"", index.sha256.substr(0, 32), "\"");
  const size_t at = index.plain.find(kBase);
  if (prefix.empty() || at == std::string_view::npos) return page;
  page->text = StrCat(index.plain.substr(0, at), "<base href=\"", EscapeAttribute(prefix), "/\"",
                      index.plain.substr(at + kBase.size()));
  page->asset.plain = page->text;
  page->asset.gzip = page->asset.brotli = {};
  page->etag = StrCat("\"", index.sha256.substr(0, 32), "-", http::UrlEncode(prefix), "\"");
  return page;
}

}  // namespace

void Register(http::Router& router, const std::string& prefix) {
  std::shared_ptr<const IndexPage> index;
  for (size_t i = 0; i < kAssetCount; ++i) {
    const Asset& asset = kAssets[i];
    if (asset.path == "index.html") {
      index = MakeIndex(asset, prefix);
      continue;
    }
    router.Handle("GET", StrCat(prefix, "/", asset.path),
                  [&asset, etag = StrCat("\"", asset.sha256.substr(0, 32), "\"")](
                      const http::Request& request, http::Response& response) {
                    Send(request, response, asset, etag, CacheOf(asset));
                  });
  }
  const http::Handler page = [index](const http::Request& request, http::Response& response) {
    if (!WantsHtml(request)) {
      response.SetError(404, StrCat(request.path, " is a page, and only answers as text/html"));
      return;
    }
    response.headers.Set("Content-Security-Policy", kPolicy);
    Send(request, response, index->asset, index->etag, kAskAgain);
  };
  for (const std::string_view path : kPages) {
    router.Handle("GET", StrCat(prefix, path), page);
  }
  for (const Redirect& redirect : kRedirects) {
    router.Handle(
        "GET", StrCat(prefix, redirect.from),
        [to = StrCat(prefix, redirect.to)](const http::Request& request, http::Response& response) {
          const size_t query = request.target.find('?');
          response.Redirect(302,
                            query == std::string::npos ? to : to + request.target.substr(query));
        });
  }
  if (!prefix.empty()) {
    const http::Handler home = [to = prefix + "/"](const http::Request&, http::Response& response) {
      response.Redirect(302, to);
    };
    router.Handle("GET", "/", home);
    router.Handle("GET", prefix, home);
  }
}

}  // namespace vedette::ui
