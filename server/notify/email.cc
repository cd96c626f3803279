#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/strings.h"
#include "server/notify/mime.h"
#include "server/notify/posting.h"
#include "server/notify/receiver.h"
#include "server/template/time_format.h"

namespace vedette::notify {
namespace {

constexpr uint16_t kSmtpsPort = 465;
constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kMaxTimeoutMs = 60'000;

bool Has(const MimeMessage& m, std::string_view name) {
  for (const auto& [n, value] : m.headers) {
    if (n == name) return true;
  }
  return false;
}

// The part of an address after the @, for our message ids.
std::string DomainOf(const std::string& address) { return address.substr(address.rfind('@') + 1); }

// An id that all mails of a group share (on one day, or for good), so that they stand as a thread.
std::string ThreadRoot(const config::EmailConfig& c, const Notification& n,
                       const std::string& domain) {
  const std::string day = c.thread_by_date == "daily"
                              ? tmpl::FormatRfc3339(n.now_ms / kDayMs * kDayMs).substr(0, 10)
                              : "";
  return StrCat("<", HashOfGroup(n.group_key).substr(0, 32), day.empty() ? "" : ".", day,
                ".alerts@", domain, ">");
}

Result<Mail> Compose(const config::EmailConfig& c, const NotifyContext& context,
                     const Notification& n) {
  const std::string& url = context.templates->external_url();
  Expander plain(*context.templates, MessageData(n, url, Escape::kNone));
  Expander rich(*context.templates, MessageData(n, url, Escape::kHtml));

  Mail mail{.host = c.smarthost,
            .port = c.smarthost_port,
            .hello = c.hello,
            .implicit_tls = c.force_implicit_tls.value_or(c.smarthost_port == kSmtpsPort),
            .start_tls = c.require_tls,
            .tls = c.tls,
            .username = c.auth_username,
            .identity = c.auth_identity};
  if (!mail.username.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(mail.password, SecretOrFile(c.auth_password, c.auth_password_file));
    VEDETTE_ASSIGN_OR_RETURN(mail.secret, SecretOrFile(c.auth_secret, c.auth_secret_file));
  }
  const std::string from = plain(c.from), to = plain(c.to);
  MimeMessage m;
  // Headers of the file first: they may say who it is from and to, and what about.
  for (const auto& [name, text] : c.headers) m.headers.emplace_back(name, plain(text));
  if (!Has(m, "Subject")) {
    m.headers.emplace_back("Subject", plain(R"({{ template "email.default.subject" . }})"));
  }
  if (!Has(m, "To")) m.headers.emplace_back("To", to);
  if (!Has(m, "From")) m.headers.emplace_back("From", from);
  m.text = plain(c.text);
  m.html = rich(c.html);
  VEDETTE_RETURN_IF_ERROR(plain.status());
  VEDETTE_RETURN_IF_ERROR(rich.status());

  VEDETTE_ASSIGN_OR_RETURN(const std::vector<std::string> senders, ParseAddresses(from));
  if (senders.size() != 1) return InvalidArgument("from must be one address");
  mail.from = senders[0];
  VEDETTE_ASSIGN_OR_RETURN(mail.to, ParseAddresses(to));
  const std::string domain = DomainOf(mail.from);
  // The same message has the same id, so a repeat after a crash can be known as one.
  const std::string id = HashOfGroup(StrCat(n.group_key, n.now_ms, m.text, m.html));
  if (!Has(m, "Message-Id")) {
    m.headers.emplace_back("Message-Id",
                           StrCat("<", n.now_ms, ".", id.substr(0, 24), "@", domain, ">"));
  }
  if (c.threading_enabled) {
    const std::string root = ThreadRoot(c, n, domain);
    if (!Has(m, "References")) m.headers.emplace_back("References", root);
    if (!Has(m, "In-Reply-To")) m.headers.emplace_back("In-Reply-To", root);
  }
  if (!Has(m, "Date")) m.headers.emplace_back("Date", MailDate(context.clock->NowMs()));
  m.boundary = "vedette-" + id.substr(24, 32);
  mail.message = WriteMime(m);
  return mail;
}

SendOutcome Send(const config::EmailConfig& c, const NotifyContext& context, const Notification& n,
                 int64_t left_ms) {
  Result<Mail> mail = Compose(c, context, n);
  if (!mail.ok()) {
    return {mail.status().Annotate("email"), mail.status().code() == StatusCode::kNotFound, 0};
  }
  mail->timeout_ms = std::min(TimeoutOf(c, left_ms), kMaxTimeoutMs);
  return context.mail(*mail);
}

}  // namespace

Result<Integration> MakeEmail(const config::EmailConfig& config, const NotifyContext& context) {
  std::vector<std::string_view> texts = {config.to, config.from, config.html, config.text};
  for (const auto& [name, text] : config.headers) texts.push_back(text);
  VEDETTE_RETURN_IF_ERROR(CheckTexts(*context.templates, texts));
  auto c = std::make_shared<const config::EmailConfig>(config);
  return Integration{.name = "email",
                     .send_resolved = config.send_resolved,
                     .send = [c, context](const Notification& n, int64_t left_ms) {
                       return Send(*c, context, n, left_ms);
                     }};
}

}  // namespace vedette::notify
