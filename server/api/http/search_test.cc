#include "server/api/http/search.h"

#include <gtest/gtest.h>

#include "common/model/labels.h"
#include "server/promql/parser/parser.h"
#include "tests/support/memory_storage.h"

namespace vedette::api {
namespace {

class Nothing final : public storage::MetadataQueryable {
 public:
  std::vector<storage::NamedMetadata> Select(const std::string& name) const override {
    if (name != "http_requests_total") return {};
    return {{name, {.type = MetricType::kCounter, .help = "Requests.", .unit = ""}}};
  }
};

class SearchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"http_requests_total", "http_errors_total", "up", "Upper"}) {
      storage_.Add(Labels::Of({{"__name__", name}, {"job", "a"}}), 1000, 1);
    }
  }
  std::string Names(std::vector<std::pair<std::string, std::string>> params) {
    Call call;
    call.params = std::move(params);
    const Reply reply = door_.MetricNames(call);
    EXPECT_EQ(reply.content_type, "application/x-ndjson; charset=utf-8") << reply.body;
    return reply.body;
  }

  MemoryStorage storage_;
  Nothing metadata_;
  SearchDoor door_{storage_, metadata_, promql::ParseMetricSelector, 10'000};
};

TEST_F(SearchTest, EverythingInOrderAndATrailer) {
  EXPECT_EQ(Names({}),
            "{\"results\":[{\"name\":\"Upper\"},{\"name\":\"http_errors_total\"},"
            "{\"name\":\"http_requests_total\"},{\"name\":\"up\"}]}\n"
            "{\"status\":\"success\",\"has_more\":false}\n");
}

TEST_F(SearchTest, BatchesAndTheLimit) {
  EXPECT_EQ(Names({{"limit", "3"}, {"batch_size", "2"}}),
            "{\"results\":[{\"name\":\"Upper\"},{\"name\":\"http_errors_total\"}]}\n"
            "{\"results\":[{\"name\":\"http_requests_total\"}]}\n"
            "{\"status\":\"success\",\"has_more\":true}\n");
}

TEST_F(SearchTest, LettersInOrderAreFoundTheBestFirst) {
  const std::string body = Names({{"search[]", "up"}, {"sort_by", "score"}, {"case_sensitive", "false"}});
  EXPECT_EQ(body,
            "{\"results\":[{\"name\":\"up\"},{\"name\":\"Upper\"}]}\n"
            "{\"status\":\"success\",\"has_more\":false}\n");
  EXPECT_NE(Names({{"search[]", "hreq"}}).find("http_requests_total"), std::string::npos);
  EXPECT_EQ(Names({{"search[]", "zzz"}}),
            "{\"results\":[]}\n{\"status\":\"success\",\"has_more\":false}\n");
}

TEST_F(SearchTest, MetadataAndSelectors) {
  EXPECT_EQ(Names({{"search[]", "requests"}, {"include_metadata", "true"}}),
            "{\"results\":[{\"name\":\"http_requests_total\",\"type\":\"counter\",\"help\":"
            "\"Requests.\",\"unit\":\"\"}]}\n{\"status\":\"success\",\"has_more\":false}\n");
  EXPECT_EQ(Names({{"match[]", "up"}}),
            "{\"results\":[{\"name\":\"up\"}]}\n{\"status\":\"success\",\"has_more\":false}\n");
}

TEST_F(SearchTest, WrongParametersSaySo) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"limit", "x"}, {"fuzz_threshold", "101"}, {"fuzz_alg", "soundex"}, {"sort_by", "size"},
           {"sort_dir", "asc"}, {"match[]", "{"}, {"case_sensitive", "maybe"}}) {
    Call call;
    call.params = {{name, value}};
    const Reply reply = door_.MetricNames(call);
    EXPECT_EQ(reply.status, 400) << name;
    EXPECT_NE(reply.body.find(name == "match[]" ? "match" : name), std::string::npos) << reply.body;
  }
  EXPECT_EQ(door_.LabelValues(Call()).status, 400) << "label is required";
}

TEST(Scores, TheSameIsOneAndNothingInCommonIsZero) {
  EXPECT_EQ(JaroWinklerScore("up", "up"), 1);
  EXPECT_EQ(JaroWinklerScore("abc", "xyz"), 0);
  EXPECT_NEAR(JaroWinklerScore("martha", "marhta"), 0.9611, 1e-4);
  EXPECT_EQ(SubsequenceScore("ba", "ab"), 0);
  EXPECT_GT(SubsequenceScore("hr", "http_requests"), SubsequenceScore("hr", "there"));
}

}  // namespace
}  // namespace vedette::api
