#include "common/http/same_origin.h"

#include <string>

#include "gtest/gtest.h"

namespace vedette::http {
namespace {

struct Case {
  std::string method;
  std::string path;
  Headers headers;
  int want;
};

TEST(SameOriginTest, OtherPagesMayReadAndNotChange) {
  Router router;
  router.Use(SameOriginWrites({"/api/v1/query"}));
  router.Handle("*", "/*rest", [](const Request&, Response& response) { response.status = 200; });
  const Case cases[] = {
      {"POST", "/api/v2/silences", {}, 200},
      {"POST", "/api/v2/silences", {{"Sec-Fetch-Site", "same-origin"}}, 200},
      {"POST", "/api/v2/silences", {{"Sec-Fetch-Site", "none"}}, 200},
      {"POST", "/api/v2/silences", {{"Sec-Fetch-Site", "cross-site"}}, 403},
      {"POST", "/api/v2/silences", {{"Sec-Fetch-Site", "same-site"}}, 403},
      {"DELETE", "/api/v2/silence/1", {{"Sec-Fetch-Site", "cross-site"}}, 403},
      {"PUT", "/-/reload", {{"Sec-Fetch-Site", "cross-site"}}, 403},
      {"POST", "/-/reload", {{"Origin", "https://evil.example"}, {"Host", "hub:9090"}}, 403},
      {"POST", "/-/reload", {{"Origin", "null"}, {"Host", "hub:9090"}}, 403},
      {"POST", "/-/reload", {{"Origin", "http://hub:9090"}, {"Host", "hub:9090"}}, 200},
      {"POST", "/x/api/v1/query", {{"Sec-Fetch-Site", "cross-site"}}, 200},
      {"GET", "/api/v2/silences", {{"Sec-Fetch-Site", "cross-site"}}, 200},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.method + " " + c.path);
    Request request;
    request.method = c.method;
    request.target = c.path;
    request.headers = c.headers;
    ASSERT_TRUE(ParseTarget(request).ok());
    Response response;
    router.Dispatch(request, response);
    EXPECT_EQ(response.status, c.want);
  }
}

}  // namespace
}  // namespace vedette::http
