#include "server/sources.h"

#include <charconv>
#include <optional>
#include <utility>

#include "common/base/strings.h"
#include "common/config/prometheus.h"
#include "common/rpc/channel.h"
#include "server/scrape/grpc_source.h"
#include "server/scrape/http_source.h"

namespace vedette {
namespace {

struct Cursor {
  uint64_t run_id = 0;
  uint64_t sequence = 0;
  uint64_t first = 0;
};

// "RUN SEQUENCE FIRST", all decimal; older ones have no FIRST.
std::optional<Cursor> ParseCursor(std::string_view text) {
  const auto words = Split(text, ' ');
  if (words.size() != 2 && words.size() != 3) return std::nullopt;
  Cursor cursor;
  const auto read = [](std::string_view word, uint64_t& out) {
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
    return error == std::errc() && end == word.data() + word.size();
  };
  if (!read(words[0], cursor.run_id) || !read(words[1], cursor.sequence)) return std::nullopt;
  if (words.size() == 3 && !read(words[2], cursor.first)) return std::nullopt;
  return cursor;
}

}  // namespace

Sources::Sources(storage::KeyValue& key_value, rpc::EventSink events, const Clock& clock)
    : key_value_(key_value), events_(std::move(events)), clock_(clock) {}

Result<std::unique_ptr<scrape::Source>> Sources::Make(const scrape::Target& target,
                                                      const scrape::Job& job) {
  if (target.scheme == "grpc") return MakeAgent(target, job);
  auto options = std::make_shared<http::ClientOptions>(scrape::ToClientOptions(job.config->http));
  options->user_agent = "vedette";
  return scrape::MakeHttpSource(target, job, std::move(options), client_);
}

std::shared_ptr<void> Sources::Gather() {
  MutexLock lock(mu_);
  return agents_ == nullptr ? nullptr : agents_->Gather();
}

void Sources::AtRest(std::function<void()> then, int64_t linger_ms) {
  Agents().AtRest(std::move(then), linger_ms);
}

rpc::CallQueue& Sources::Agents() {
  MutexLock lock(mu_);
  if (agents_ == nullptr) agents_ = std::make_unique<rpc::CallQueue>("scrape-agents");
  return *agents_;
}

Result<std::unique_ptr<scrape::Source>> Sources::MakeAgent(const scrape::Target& target,
                                                           const scrape::Job& job) {
  const config::TlsConfig& tls = job.config->http.tls;
  rpc::ChannelOptions options;
  options.address = target.address;
  options.files = {
      .ca_file = tls.ca_file, .crl_file = "", .cert_file = tls.cert_file, .key_file = tls.key_file};
  // A list of revoked certificates beside the CA's is looked at without being named.
  if (tls.ca_file.ends_with(".crt")) {
    options.files.crl_file = tls.ca_file.substr(0, tls.ca_file.size() - 4) + ".crl";
  }
  options.expected_name = tls.server_name;
  options.expected_role = tls::Role::kAgent;
  options.insecure = tls.ca_file.empty() && tls.cert_file.empty() && tls.insecure_skip_verify;
  if (!options.insecure && (tls.ca_file.empty() || tls.cert_file.empty() || tls.key_file.empty())) {
    return FailedPrecondition(
        StrCat("job ", Quoted(job.name),
               ": scheme grpc needs ca_file, cert_file and key_file in tls_config (vedettectl ca "
               "issue --role server makes them), or insecure_skip_verify: true alone for an agent "
               "that runs with --grpc.insecure"));
  }
  options.events = events_;
  options.clock = &clock_;

  const std::string key = StrCat("cursor/", Labels(target.labels).ToString(), "@", target.address);
  scrape::GrpcSourceOptions source;
  source.queue = &Agents();
  source.channel = [options](const scrape::Target&) { return rpc::MakeChannel(options); };
  source.check = [check = std::make_shared<rpc::PeerCheck>(options)](
                     const grpc::ClientContext& context) { return check->Check(context); };
  source.clock = &clock_;
  Result<std::optional<std::string>> stored = key_value_.Get(key);
  if (stored.ok() && *stored) {
    if (const auto cursor = ParseCursor(**stored)) {
      source.cursor_run_id = cursor->run_id;
      source.cursor_sequence = cursor->sequence;
      source.cursor_first = cursor->first;
    }
  }
  source.receipt = [key](uint64_t run_id, uint64_t sequence, uint64_t first) {
    return storage::KeyValue::Change{key, StrCat(run_id, " ", sequence, " ", first)};
  };
  return scrape::MakeGrpcSource(target, std::move(source));
}

}  // namespace vedette
