#include "server/ui/ui.h"

#include <string>

#include "common/http/request.h"
#include "common/http/router.h"
#include "gtest/gtest.h"
#include "server/ui/asset.h"

namespace vedette::ui {
namespace {

struct Asked {
  std::string target;
  http::Headers headers;
};

http::Response Ask(const std::string& prefix, Asked asked) {
  http::Router router;
  Register(router, prefix);
  http::Request request;
  request.method = "GET";
  request.target = asked.target;
  request.headers = asked.headers;
  EXPECT_TRUE(http::ParseTarget(request).ok());
  http::Response response;
  router.Dispatch(request, response);
  return response;
}

const Asset& Script() {
  for (size_t i = 0; i < kAssetCount; ++i) {
    if (kAssets[i].path.find("assets/index-") == 0 &&
        kAssets[i].mime.find("javascript") != std::string_view::npos) {
      return kAssets[i];
    }
  }
  ADD_FAILURE() << "web/dist has no main script";
  return kAssets[0];
}

TEST(UiTest, EveryPageIsServedAsHtmlWithAPolicyThatAllowsNothingInline) {
  for (const char* path : {"/", "/query?g0.expr=up", "/targets", "/d/abc", "/d/abc/name",
                           "/silences/new", "/tsdb-status"}) {
    const http::Response got = Ask("", {path, {{"Accept", "text/html"}}});
    EXPECT_EQ(got.status, 200) << path;
    EXPECT_EQ(got.headers.Get("Content-Type"), "text/html; charset=utf-8") << path;
    EXPECT_NE(got.body.find("<div id=\"app\">"), std::string::npos) << path;
    const std::string_view policy = got.headers.Get("Content-Security-Policy");
    EXPECT_NE(policy.find("default-src 'none'"), std::string_view::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string_view::npos);
    EXPECT_EQ(got.headers.Get("Cache-Control"), "no-cache");
  }
}

TEST(UiTest, UnknownPathsAreNoPage) {
  for (const char* path : {"/api/v1/nothing", "/assets/gone-12345678.js", "/nowhere"}) {
    EXPECT_EQ(Ask("", {path, {{"Accept", "text/html"}}}).status, 404) << path;
  }
  EXPECT_EQ(Ask("", {"/targets", {{"Accept", "application/json"}}}).status, 404);
}

TEST(UiTest, HashedFilesAreKeptForEverAndPackedAsTheClientLikesBest) {
  const std::string path = "/" + std::string(Script().path);
  const http::Response br = Ask("", {path, {{"Accept-Encoding", "gzip, deflate, br"}}});
  EXPECT_EQ(br.headers.Get("Content-Encoding"), "br");
  EXPECT_EQ(br.body, Script().brotli);
  EXPECT_EQ(br.headers.Get("Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(br.headers.Get("Vary"), "Accept-Encoding");
  const http::Response gzip = Ask("", {path, {{"Accept-Encoding", "gzip;q=1, br;q=0.5"}}});
  EXPECT_EQ(gzip.headers.Get("Content-Encoding"), "gzip");
  EXPECT_EQ(gzip.body, Script().gzip);
  const http::Response plain = Ask("", {path, {}});
  EXPECT_FALSE(plain.headers.Has("Content-Encoding"));
  EXPECT_EQ(plain.body, Script().plain);
  EXPECT_FALSE(plain.compressible);
}

TEST(UiTest, WhatTheClientHasIsNotSentAgain) {
  const http::Response first = Ask("", {"/", {}});
  const std::string etag(first.headers.Get("ETag"));
  ASSERT_FALSE(etag.empty());
  const http::Response again = Ask("", {"/", {{"If-None-Match", "\"other\", W/" + etag}}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(Ask("", {"/", {{"If-None-Match", "\"other\""}}}).status, 200);
}

TEST(UiTest, ThePrefixIsInThePageAndInItsETag) {
  const http::Response got = Ask("/x", {"/x/query", {{"Accept-Encoding", "br"}}});
  EXPECT_EQ(got.status, 200);
  EXPECT_FALSE(got.headers.Has("Content-Encoding"));
  EXPECT_NE(got.body.find("<base href=\"/x/\""), std::string::npos);
  EXPECT_NE(got.headers.Get("ETag"), Ask("", {"/query", {}}).headers.Get("ETag"));
  EXPECT_EQ(Ask("/x", {"/query", {}}).status, 404);
  EXPECT_EQ(Ask("/x", {"/", {}}).headers.Get("Location"), "/x/");
}

TEST(UiTest, OldAddressesLeadToTheNewOnesWithTheirQuery) {
  const http::Response got = Ask("/x", {"/x/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0", {}});
  EXPECT_EQ(got.status, 302);
  EXPECT_EQ(got.headers.Get("Location"), "/x/query?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0");
  EXPECT_EQ(Ask("", {"/classic/targets", {}}).headers.Get("Location"), "/targets");
}

}  // namespace
}  // namespace vedette::ui
