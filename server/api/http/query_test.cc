#include "server/api/http/query.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "server/api/http/columns.h"
#include "server/api/http/running.h"
#include "tests/support/fake_clock.h"

namespace vedette::api {
namespace {

using nlohmann::json;

class FakeEngine final : public promql::Engine {
 public:
  Result<promql::QueryAnswer> Run(const promql::Query& query, const promql::CancelFlag*) override {
    asked = query;
    if (!failure.ok()) return failure;
    return answer;
  }
  Result<promql::Explanation> Explain(const promql::Query& query, bool analyze,
                                      const promql::CancelFlag*) override {
    asked = query;
    promql::Explanation e;
    e.plan = {.op = "sum by (job)", .text = "sum by (job) (up)", .type = "vector", .series = 2};
    e.plan.children.push_back({.op = "selector",
                               .text = "up",
                               .type = "vector",
                               .selects = true,
                               .matching_series = 7,
                               .series = 7,
                               .samples_read = 70});
    e.analyzed = analyze;
    return e;
  }
  std::vector<promql::ActiveQuery> Active() const override {
    return {{.id = 3, .text = "up", .origin = "http 10.0.0.7:1", .began_ms = 1000}};
  }
  Status Kill(uint64_t id) override {
    return id == 3 ? Status() : NotFound("no query with this id is running");
  }
  void SetDefaultSubqueryStep(int64_t) override {}
  const promql::EngineOptions& options() const override { return options_; }

  promql::Query asked;
  promql::QueryAnswer answer;
  Status failure;

 private:
  const promql::EngineOptions options_;
};

std::string Whole(const Reply& reply) {
  if (reply.stream == nullptr) return reply.body;
  std::string out;
  reply.stream([&](std::string_view piece) {
    out += piece;
    return true;
  });
  return out;
}

promql::Series SeriesOf(std::string_view name, std::vector<promql::Point> points) {
  return {Labels::Of({{"__name__", name}}), std::move(points)};
}

class QueryTest : public ::testing::Test {
 protected:
  Call RangeCall(std::string accept = "") {
    Call call;
    call.params = {{"query", "up"}, {"start", "1"}, {"end", "4"}, {"step", "1"}};
    call.accept = std::move(accept);
    return call;
  }
  testing::FakeClock clock_{5000};
  FakeEngine engine_;
  QueryDoor door_{engine_, clock_};
  RunningDoor running_{engine_, clock_};
};

TEST_F(QueryTest, ColumnsByAcceptHaveAPlaceForEveryStep) {
  auto histogram = std::make_shared<Histogram>();
  histogram->count = 2;
  histogram->sum = 3;
  constexpr double kInf = std::numeric_limits<double>::infinity();
  engine_.answer.value = promql::Matrix{
      SeriesOf("a", {{2000, 1.5}, {4000, kInf}}), SeriesOf("h", {{3000, 0, histogram}})};
  const Reply reply = door_.Range(RangeCall("application/vnd.vedette.columns+json, */*;q=0.5"));
  EXPECT_EQ(reply.content_type, kColumnsType);
  EXPECT_EQ(Whole(reply),
            "{\"status\":\"success\",\"data\":{\"resultType\":\"columns\",\"start\":1,\"step\":1,"
            "\"steps\":4,\"series\":[{\"metric\":{\"__name__\":\"a\"},\"v\":[null,1.5,null,"
            "\"+Inf\"]},{\"metric\":{\"__name__\":\"h\"},\"v\":[],\"h\":[[2,{\"count\":\"2\","
            "\"sum\":\"3\"}]]}]}}");
  EXPECT_EQ(json::parse(Whole(door_.Range(RangeCall())))["data"]["resultType"], "matrix");
}

TEST_F(QueryTest, ALargeAnswerIsWrittenInPiecesAndIsTheSame) {
  promql::Matrix matrix;
  for (int s = 0; s < 100; ++s) {
    promql::Series series = SeriesOf("m" + std::to_string(s), {});
    for (int i = 0; i < 1000; ++i) series.points.push_back({i * 1000, 0.1 * i});
    matrix.push_back(std::move(series));
  }
  engine_.answer.value = matrix;
  engine_.answer.warnings = {"one thing"};
  const Reply reply = door_.Range(RangeCall());
  ASSERT_NE(reply.stream, nullptr);
  size_t pieces = 0;
  size_t largest = 0;
  reply.stream([&](std::string_view piece) {
    ++pieces;
    largest = std::max(largest, piece.size());
    return true;
  });
  EXPECT_GT(pieces, 10u);
  EXPECT_LT(largest, 80u << 10);
  const json parsed = json::parse(Whole(reply));
  EXPECT_EQ(parsed["status"], "success");
  EXPECT_EQ(parsed["warnings"][0], "one thing");
  ASSERT_EQ(parsed["data"]["result"].size(), 100u);
  EXPECT_EQ(parsed["data"]["result"][99]["values"].size(), 1000u);
  EXPECT_EQ(parsed["data"]["result"][99]["values"][3], json::parse("[3,\"0.30000000000000004\"]"));

  // A client that is gone gets no more pieces.
  pieces = 0;
  reply.stream([&](std::string_view) { return ++pieces < 2; });
  EXPECT_EQ(pieces, 2u);
}

TEST_F(QueryTest, FailuresHaveTheStatusOfTheirKind) {
  const std::vector<std::pair<Status, int>> cases = {
      {InvalidArgument("1:1: parse error"), 400},  {DeadlineExceeded("late"), 503},
      {Unavailable("--memory.limit"), 503},        {ResourceExhausted("too many samples"), 422},
      {FailedPrecondition("many-to-many"), 422},   {Cancelled("killed"), 499},
  };
  for (const auto& [failure, status] : cases) {
    engine_.failure = failure;
    EXPECT_EQ(door_.Range(RangeCall()).status, status) << failure.ToString();
  }
}

TEST_F(QueryTest, ExplainGivesTheTree) {
  Call call = RangeCall();
  json plain = json::parse(running_.Explain(call).body)["data"];
  EXPECT_EQ(engine_.asked.step_ms, 1000);
  EXPECT_EQ(plain["analyzed"], false);
  EXPECT_FALSE(plain["plan"].contains("series"));
  EXPECT_EQ(plain["plan"]["children"][0]["selects"]["matchingSeries"], 7);
  call.params.emplace_back("analyze", "true");
  const json analyzed = json::parse(running_.Explain(call).body)["data"];
  EXPECT_EQ(analyzed["plan"]["op"], "sum by (job)");
  EXPECT_EQ(analyzed["plan"]["children"][0]["samplesRead"], 70);
  Call instant;
  instant.params = {{"query", "up"}};
  EXPECT_EQ(running_.Explain(instant).status, 200);
  EXPECT_EQ(engine_.asked.start_ms, 5000);
}

TEST_F(QueryTest, RunningQueriesAreListedAndKilled) {
  const json list = json::parse(running_.List(Call()).body)["data"];
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["id"], 3);
  EXPECT_EQ(list[0]["seconds"], 4);
  Call call;
  call.path_params = {{"id", "3"}};
  EXPECT_EQ(running_.Kill(call).status, 200);
  call.path_params = {{"id", "4"}};
  EXPECT_EQ(running_.Kill(call).status, 404);
  call.path_params = {{"id", "all"}};
  EXPECT_EQ(running_.Kill(call).status, 400);
}

}  // namespace
}  // namespace vedette::api
