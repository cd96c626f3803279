#include <cstdlib>
#include <utility>

#include "common/base/strings.h"
#include "server/notify/posting.h"
#include "server/notify/receiver.h"

namespace vedette::notify {
namespace {

// SNS' own limits.
constexpr size_t kMaxSubjectBytes = 100;
constexpr size_t kMaxMessageBytes = 256 << 10;
constexpr size_t kMaxSmsBytes = 1600;

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// arn:aws:sns:eu-central-1:...: the region stands in the fourth place.
std::string RegionOf(const std::string& arn) {
  const auto parts = Split(arn, ':');
  return parts.size() > 3 ? std::string(parts[3]) : "";
}

Result<HttpPost> Compose(const config::SnsConfig& c, const std::string& region,
                         const Notification& n, Expander& expand) {
  const bool sms = !c.phone_number.empty();
  const std::string message = expand(c.message);
  const std::string cut = TruncateBytes(message, sms ? kMaxSmsBytes : kMaxMessageBytes);
  std::vector<std::pair<std::string, std::string>> form = {{"Action", "Publish"},
                                                           {"Version", "2010-03-31"}};
  const std::string topic = expand(c.topic_arn);
  form.emplace_back("TopicArn", topic);
  form.emplace_back("PhoneNumber", expand(c.phone_number));
  form.emplace_back("TargetArn", expand(c.target_arn));
  if (!sms) form.emplace_back("Subject", TruncateBytes(expand(c.subject), kMaxSubjectBytes));
  form.emplace_back("Message", cut);
  if (topic.ends_with(".fifo")) {
    // Told twice within five minutes (a crash between sending and logging), it arrives once.
    form.emplace_back("MessageGroupId", HashOfGroup(n.group_key));
    form.emplace_back("MessageDeduplicationId", HashOfGroup(StrCat(n.group_key, message)));
  }
  int entry = 0;
  const auto attribute = [&](const std::string& name, const std::string& value) {
    if (value.empty()) return;
    const std::string at = StrCat("MessageAttributes.entry.", ++entry, ".");
    form.emplace_back(at + "Name", name);
    form.emplace_back(at + "Value.DataType", "String");
    form.emplace_back(at + "Value.StringValue", value);
  };
  for (const auto& [name, text] : c.attributes) attribute(name, expand(text));
  if (cut.size() != message.size()) attribute("truncated", "true");
  std::erase_if(form, [](const auto& field) { return field.second.empty(); });
  std::string url = expand(c.api_url);
  if (url.empty()) url = StrCat("https://sns.", region, ".amazonaws.com/");
  return HttpPost{.url = url,
                  .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                  .body = FormBody(form)};
}

}  // namespace

Result<Integration> MakeSns(const config::SnsConfig& config, const NotifyContext& context) {
  if (!config.role_arn.empty() || !config.profile.empty()) {
    return Unimplemented(
        "sns: sigv4.role_arn and sigv4.profile are not supported; give access_key and secret_key, "
        "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment");
  }
  AwsKeys keys{.region = config.region,
               .service = "sns",
               .access_key = config.access_key,
               .secret_key = config.secret_key.Reveal()};
  if (keys.access_key.empty()) {
    keys.access_key = FromEnvironment("AWS_ACCESS_KEY_ID");
    keys.secret_key = FromEnvironment("AWS_SECRET_ACCESS_KEY");
    keys.session_token = FromEnvironment("AWS_SESSION_TOKEN");
  }
  if (keys.region.empty()) keys.region = RegionOf(config.topic_arn + config.target_arn);
  if (keys.region.empty()) keys.region = FromEnvironment("AWS_REGION");
  if (keys.region.empty()) return InvalidArgument("sns: sigv4.region is needed");
  if (keys.access_key.empty() || keys.secret_key.empty()) {
    return InvalidArgument(
        "sns: no credentials: give sigv4.access_key and secret_key, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY in the environment");
  }
  std::vector<std::string_view> texts = {config.api_url,    config.topic_arn, config.phone_number,
                                         config.target_arn, config.subject,   config.message};
  for (const auto& [name, text] : config.attributes) texts.push_back(text);
  NotifyContext signing = context;
  signing.http = [&](const config::HttpClientConfig& http) {
    return context.signed_http(http, keys);
  };
  return MakePosting(
      config, signing,
      {.name = "sns",
       .texts = texts,
       .compose = [c = config, region = keys.region](const Notification& n, Expander& expand) {
         return Compose(c, region, n, expand);
       }});
}

}  // namespace vedette::notify
