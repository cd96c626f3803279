#include "common/http/web_protection.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/http/basic_auth.h"
#include "common/http/request.h"
#include "tests/support/temp_dir.h"

namespace vedette::http {
namespace {

class Door : public ::testing::Test {
 protected:
  void Write(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    ASSERT_EQ(std::rename((path_ + ".new").c_str(), path_.c_str()), 0);
  }
  std::string User(const std::string& name, const std::string& password) {
    return StrCat("  ", name, ": ", *MakeBcryptHash(password, 4), "\n");
  }
  void Open() {
    Result<WebProtection> protection = LoadWebProtection(path_);
    ASSERT_TRUE(protection.ok()) << protection.status().ToString();
    protection_ = *std::move(protection);
    for (Router::Filter& f : protection_.filters) router_.Use(f);
    for (Router::Decorator& d : protection_.decorators) router_.Decorate(d);
    const Handler ok = [](const Request&, Response& r) { r.SetBody("text/plain", "ok"); };
    router_.Handle("GET", "/x", ok);
    router_.Handle("POST", "/x", ok);
  }
  Response Ask(const std::string& method, const std::string& authorization) {
    Request request;
    request.method = method;
    request.target = request.raw_path = request.path = "/x";
    if (!authorization.empty()) request.headers.Set("Authorization", authorization);
    Response response;
    router_.Dispatch(request, response);
    return response;
  }

  testing::TempDir dir_;
  const std::string path_ = StrCat(dir_.path(), "/web.yml");
  WebProtection protection_;
  Router router_;
};

constexpr char kAnna[] = "Basic YW5uYTpvbmU=";  // anna:one
constexpr char kBert[] = "Basic YmVydDp0d28=";  // bert:two

TEST_F(Door, TheFileIsReadAgainAtEachRequest) {
  Write("basic_auth_users:\n" + User("anna", "one"));
  Open();
  EXPECT_EQ(Ask("GET", kAnna).status, 200);
  EXPECT_EQ(Ask("GET", kBert).status, 401);
  EXPECT_TRUE(protection_.knows_its_users());

  Write(StrCat("basic_auth_users:\n", User("bert", "two"),
               "basic_auth_roles: {bert: viewer}\n"
               "http_server_config: {headers: {X-Frame-Options: deny}}\n"));
  EXPECT_EQ(Ask("GET", kAnna).status, 401);
  EXPECT_EQ(Ask("GET", kBert).status, 200);
  EXPECT_EQ(Ask("POST", kBert).status, 403);
  EXPECT_EQ(Ask("GET", kBert).headers.Get("X-Frame-Options"), "deny");

  Write("basic_auth_users: [this, is, wrong]\n");
  EXPECT_EQ(Ask("GET", "").status, 401) << "a mistake must not open the door";
  EXPECT_EQ(Ask("GET", kBert).status, 200);

  Write("tls_server_config: {cert_file: none, key_file: none}\n");
  EXPECT_EQ(Ask("GET", "").status, 401);

  Write("basic_auth_users: {}\n");
  EXPECT_EQ(Ask("GET", "").status, 200);
  EXPECT_FALSE(protection_.knows_its_users());
}

TEST_F(Door, AnAnswerCarriesTheIdOfItsRequest) {
  Write("{}");
  Open();
  const std::string made(Ask("GET", "").headers.Get("X-Request-Id"));
  EXPECT_EQ(made.size(), 16u);
  EXPECT_NE(made, Ask("GET", "").headers.Get("X-Request-Id"));
  for (const auto& [sent, kept] : {std::pair("trace-42", true), std::pair("two words", false),
                                   std::pair("\"><script>", false)}) {
    SCOPED_TRACE(sent);
    Request request;
    request.method = "GET";
    request.target = request.raw_path = request.path = "/x";
    request.headers.Set("X-Request-Id", sent);
    Response response;
    router_.Dispatch(request, response);
    EXPECT_EQ(response.headers.Get("X-Request-Id") == sent, kept);
  }
}

}  // namespace
}  // namespace vedette::http
