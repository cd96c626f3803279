#include "server/external_url.h"

#include <gtest/gtest.h>

#include <string>

namespace vedette {
namespace {

TEST(ExternalUrl, WhereThePathsBegin) {
  struct Case {
    std::string external, prefix;
    std::string whole, path, begins;
  };
  for (const Case& c : {
           Case{"https://m.example/", "", "https://m.example", "", ""},
           Case{"https://m.example/vedette//", "", "https://m.example/vedette", "/vedette",
                "/vedette"},
           Case{"https://m.example/a/b", "c/", "https://m.example/a/b", "/a/b", "/c"},
           Case{"https://m.example/a", "/", "https://m.example/a", "/a", ""},
       }) {
    ServerOptions options;
    options.web_external_url = c.external;
    options.web_route_prefix = c.prefix;
    const ExternalUrl url = ExternalUrlOf(options);
    EXPECT_EQ(url.whole, c.whole);
    EXPECT_EQ(url.path, c.path);
    EXPECT_EQ(PrefixOf(options, url), c.begins) << c.external << " " << c.prefix;
  }
}

TEST(ExternalUrl, WithoutOneTheMachinesNameAndTheFirstPort) {
  ServerOptions options;
  options.web_listen = {"127.0.0.1:9090", "0.0.0.0:80"};
  const ExternalUrl url = ExternalUrlOf(options);
  EXPECT_EQ(url.whole, "http://" + Hostname() + ":9090");
  EXPECT_EQ(url.path, "");
}

}  // namespace
}  // namespace vedette
