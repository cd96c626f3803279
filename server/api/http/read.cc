#include "server/api/http/read.h"

#include <memory>
#include <string>

#include "common/base/strings.h"
#include "common/compress/compress.h"
#include "server/remote/read_request.h"

namespace vedette::api {
namespace {

Reply Text(int status, std::string_view message) {
  return {
      .status = status, .content_type = "text/plain; charset=utf-8", .body = StrCat(message, "\n")};
}

}  // namespace

Reply ReadDoor::Read(const Call& call) const {
  const Result<remote::ReadRequest> request = remote::ReadReadRequest(call.body);
  if (!request.ok()) return Text(400, request.status().message());
  const Labels external = external_labels_();
  remote::ReadAnswer answer(request->streamed, external);
  uint64_t samples = 0;
  for (size_t i = 0; i < request->queries.size(); ++i) {
    const remote::ReadQuery& query = request->queries[i];
    // Every series here has the external labels, so a matcher that asks for them always holds.
    std::vector<Matcher> matchers;
    for (const Matcher& m : query.matchers) {
      const bool own = m.op() == Matcher::Op::kEqual && !m.value().empty() &&
                       external.Get(m.name()) == m.value();
      if (!own) matchers.push_back(m);
    }
    const auto querier = queryable_.Open(query.start_ms, query.end_ms);
    if (!querier.ok()) return Text(500, querier.status().message());
    const storage::SelectHints hints{
        .start_ms = query.start_ms, .end_ms = query.end_ms, .sorted = true};
    const std::unique_ptr<storage::SeriesSet> set = (*querier)->Select(hints, matchers);
    answer.Begin(i);
    while (set->Next()) {
      if (call.cancel != nullptr && call.cancel->cancelled()) {
        return Text(499, "the client has gone away");
      }
      samples += set->at().t_ms.size();
      if (sample_limit_ > 0 && samples > sample_limit_) {
        return Text(400, StrCat("exceeded sample limit (", sample_limit_,
                                "): --storage.remote.read-sample-limit"));
      }
      const Status added = answer.Add(set->at());
      if (!added.ok()) return Text(400, added.message());
    }
    if (!set->status().ok()) return Text(500, set->status().message());
    answer.End();
  }
  Reply reply;
  if (request->streamed) {
    reply.content_type = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    reply.body = answer.Take();
    return reply;
  }
  const Status packed = compress::Compress(compress::Encoding::kSnappy, answer.Take(), reply.body);
  if (!packed.ok()) return Text(500, packed.message());
  reply.content_type = "application/x-protobuf";
  reply.headers.emplace_back("Content-Encoding", "snappy");
  return reply;
}

}  // namespace vedette::api
