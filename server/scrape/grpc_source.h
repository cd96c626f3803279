#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/rpc/call_queue.h"
#include "server/scrape/source.h"
#include "server/scrape/target.h"
#include "server/storage/key_value.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace vedette::scrape {

struct GrpcSourceOptions {
  // Where its calls are seen to; shared by all sources, and outlives them.
  rpc::CallQueue* queue = nullptr;
  // Makes the channel to an address (rpc::MakeChannel with the job's certificates). Called when the
  // source is made.
  std::function<Result<std::shared_ptr<grpc::Channel>>(const Target& target)> channel;
  // Asked at every answer whether the agent is still to be believed; may be empty. A stream whose
  // agent is not is dropped.
  std::function<Status(const grpc::ClientContext& context)> check;
  const Clock* clock = &SystemClock();
  // How many kept scrapes an answer may bring beside the live one.
  uint32_t max_backlog = 60;
  // Where the last connection ended, to go on from there after a restart of the server.
  uint64_t cursor_run_id = 0;
  uint64_t cursor_sequence = 0;
  // The lowest frame of the answer that the cursor is the end of: those two and what is between
  // them may come once more. 0: everything up to the cursor.
  uint64_t cursor_first = 0;
  // The pair that keeps these three: stored with each answer, in one commit. May be empty.
  std::function<storage::KeyValue::Change(uint64_t run_id, uint64_t sequence, uint64_t first)>
      receipt;
};

// A Source that pulls an agent: one AgentService.Pull stream, kept open. The first answer of a stream
// brings the live scrape alone, the following ones also what the agent kept while nobody asked, a
// bounded number at a time, until the gap is filled. Where scrapes come at an even pace the agent is
// asked for a cadence, and sends a frame for each by itself; Start then waits for it. Whatever is out
// of the ordinary (a scrape in between, one that was missed, a gap) is asked for.
//
// Kept scrapes carry the agent's time. The difference of the clocks is taken out: an answer says
// the agent's time when it left, which is the server's time of arrival less the way; the largest
// difference of the last answers is that of the shortest way.
Result<std::unique_ptr<Source>> MakeGrpcSource(const Target& target, GrpcSourceOptions options);

}  // namespace vedette::scrape
