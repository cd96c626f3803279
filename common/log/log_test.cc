#include "common/log/log.h"

#include <gtest/gtest.h>

#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/log/request_scope.h"

namespace vedette::log {
namespace {

class LogTest : public testing::Test {
 protected:
  void SetUp() override {
    Init("log_test", Level::kInfo, Format::kLogfmt);
    SetWriter([this](std::string_view line) {
      MutexLock lock(mu_);
      lines_.emplace_back(line);
    });
  }
  void TearDown() override { SetWriter(nullptr); }
  std::vector<std::string> lines() {
    MutexLock lock(mu_);
    return lines_;
  }
  std::string only() {
    const auto all = lines();
    return all.size() == 1 ? all[0] : "(" + std::to_string(all.size()) + " lines)";
  }

  Mutex mu_;
  std::vector<std::string> lines_ VEDETTE_GUARDED_BY(mu_);
};

bool Contains(const std::string& text, std::string_view piece) {
  return text.find(piece) != std::string::npos;
}

TEST_F(LogTest, ALogfmtLineCarriesEverything) {
  Warn("scrape failed", {{"target", "http://a:1/x"},
                         {"n", 3},
                         {"ok", false},
                         {"why", "two words\nand \"quotes\""},
                         {"err", Unavailable("gone")},
                         {"none", ""}});
  const std::string line = only();
  EXPECT_EQ(line.substr(0, 5), "ts=20");
  EXPECT_TRUE(Contains(line, " level=warn source=log_test.cc:")) << line;
  EXPECT_TRUE(Contains(line,
                       " msg=\"scrape failed\" target=http://a:1/x n=3 ok=false "
                       "why=\"two words\\nand \\\"quotes\\\"\" err=\"UNAVAILABLE: gone\" "
                       "none=\"\"\n"))
      << line;
}

TEST_F(LogTest, LinesOfARequestCarryItsId) {
  {
    RequestScope scope;
    Info("before it is known");
    scope.Set("abc1");
    Info("of the request", {{"n", 1}});
    Info("named already", {{"request_id", "other"}});
    std::thread([] { Info("of another thread"); }).join();
    {
      RequestScope inner;
      inner.Set("abc2");
      Info("of one inside");
    }
    Info("of the outer one again");
  }
  Info("afterwards");
  static constexpr const char* kExpected[] = {"", "abc1", "other", "", "abc2", "abc1", ""};
  const auto all = lines();
  ASSERT_EQ(all.size(), std::size(kExpected));
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(all[i]);
    const size_t at = all[i].find(" request_id=");
    EXPECT_EQ(at == std::string::npos ? "" : all[i].substr(at + 12, all[i].size() - at - 13),
              kExpected[i]);
  }
}

TEST_F(LogTest, AJsonLineQuotesOnlyWhatIsText) {
  Init("log_test", Level::kInfo, Format::kJson);
  Error("bad", {{"n", 3}, {"x", 0.5}, {"b", true}, {"nan", 0.0 / 0.0}, {"t", "a\"b\x01\xff"}});
  Init("log_test", Level::kInfo, Format::kLogfmt);
  const std::string line = only();
  EXPECT_TRUE(Contains(line, "\"level\":\"error\"")) << line;
  EXPECT_TRUE(Contains(line, "\"msg\":\"bad\",\"n\":3,\"x\":0.5,\"b\":true,\"nan\":\"")) << line;
  EXPECT_TRUE(Contains(line, "\"t\":\"a\\\"b\\u0001\\u00ff\"}\n")) << line;
}

TEST_F(LogTest, TheLevelCanChangeWhileRunning) {
  Debug("unseen");
  SetLevel(Level::kDebug);
  Debug("seen");
  SetLevel(Level::kError);
  Warn("unseen");
  SetLevel(Level::kInfo);
  EXPECT_TRUE(Contains(only(), "level=debug")) << only();
}

TEST_F(LogTest, SecretsAreMaskedInMessagesAndFields) {
  RegisterSecret("hunter22");
  RegisterSecret("hunter2215");
  RegisterSecret("abc");  // Too short to mask.
  Info("password hunter22 abc", {{"url", "http://u:hunter2215@x/"}});
  const std::string line = only();
  EXPECT_FALSE(Contains(line, "hunter")) << line;
  EXPECT_FALSE(Contains(line, "15@")) << line;
  EXPECT_TRUE(Contains(line, "<secret>")) << line;
  EXPECT_TRUE(Contains(line, "abc")) << line;
  EXPECT_EQ(MaskSecrets("xhunter22y"), "x<secret>y");
}

TEST_F(LogTest, RepeatsFromOnePlaceAreThinnedOut) {
  for (int i = 0; i < 3 * kRepeatBurst; ++i) Info("again and again", {{"i", i}});
  EXPECT_EQ(lines().size(), size_t(kRepeatBurst));
  for (int i = 0; i < 3; ++i) Info("different " + std::to_string(i));
  EXPECT_EQ(lines().size(), size_t(kRepeatBurst) + 3);
}

TEST_F(LogTest, ThreadsKeepTheirLinesApart) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 10; ++i) Info("from thread " + std::to_string(t), {{"i", i}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(lines().size(), 40u);
  for (const std::string& line : lines()) EXPECT_EQ(line.back(), '\n');
}

TEST(Levels, NamesAreRead) {
  EXPECT_EQ(*ParseLevel("warn"), Level::kWarn);
  EXPECT_FALSE(ParseLevel("WARN").ok());
  EXPECT_EQ(*ParseFormat("json"), Format::kJson);
  EXPECT_FALSE(ParseFormat("xml").ok());
}

}  // namespace
}  // namespace vedette::log
