#include "common/http/smtp.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "common/base/strings.h"
#include "common/http/curl_easy.h"

namespace vedette::http {
namespace {

struct Upload {
  std::string_view rest;

  static size_t Read(char* out, size_t size, size_t n, void* user) {
    Upload& upload = *static_cast<Upload*>(user);
    const size_t bytes = std::min(size * n, upload.rest.size());
    std::memcpy(out, upload.rest.data(), bytes);
    upload.rest.remove_prefix(bytes);
    return bytes;
  }
};

size_t Drop(char*, size_t size, size_t n, void*) { return size * n; }

bool IsThisHost(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "[::1]" || host == "::1";
}

Status Judge(const SmtpRequest& request, CURLcode code, long answer) {
  if (code == CURLE_OK) return {};
  const std::string why =
      StrCat(request.host, ":", request.port, ": ",
             answer >= 400 ? StrCat("the relay answered ", answer) : curl_easy_strerror(code));
  if (code == CURLE_USE_SSL_FAILED) {
    return Unauthenticated(StrCat(request.host, ":", request.port,
                                  ": no TLS: the relay offers no STARTTLS, or it failed; "
                                  "require_tls: false does without"));
  }
  if (code == CURLE_LOGIN_DENIED) {
    return Unauthenticated(StrCat(why, ": the relay refused our user and password"));
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION) return Unauthenticated(why);
  if (code == CURLE_OPERATION_TIMEDOUT) return DeadlineExceeded(why);
  return answer >= 500 ? InvalidArgument(why) : Unavailable(why);
}

Status SendOnce(const SmtpRequest& request, const std::string& mechanisms,
                const std::string& password) {
  InitCurl();
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  if (curl == nullptr) return Internal("curl does not start");
  const auto set = [&](CURLoption option, auto value) {
    curl_easy_setopt(curl.get(), option, value);
  };
  VEDETTE_RETURN_IF_ERROR(ApplyTls(curl.get(), request.tls));
  // curl takes the name it checks from the URL.
  const std::string& name =
      request.tls.server_name.empty() ? request.host : request.tls.server_name;
  const std::string url = StrCat(request.implicit_tls ? "smtps://" : "smtp://", name, ":",
                                 request.port, "/", request.hello);
  set(CURLOPT_URL, url.c_str());
  curl_slist* connect_to = nullptr;
  if (name != request.host) {
    connect_to = curl_slist_append(
        nullptr, StrCat(name, ":", request.port, ":", request.host, ":", request.port).c_str());
    set(CURLOPT_CONNECT_TO, connect_to);
  }
  set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROXY, "");
  set(CURLOPT_TIMEOUT_MS, long(request.timeout_ms));
  set(CURLOPT_USE_SSL, long(request.start_tls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
  if (!request.username.empty()) {
    set(CURLOPT_USERNAME, request.username.c_str());
    set(CURLOPT_PASSWORD, password.c_str());
    set(CURLOPT_LOGIN_OPTIONS, mechanisms.c_str());
    if (!request.identity.empty()) set(CURLOPT_SASL_AUTHZID, request.identity.c_str());
  }
  set(CURLOPT_MAIL_FROM, StrCat("<", request.from, ">").c_str());
  curl_slist* to = nullptr;
  for (const std::string& address : request.to) {
    to = curl_slist_append(to, StrCat("<", address, ">").c_str());
  }
  set(CURLOPT_MAIL_RCPT, to);
  Upload upload{request.message};
  set(CURLOPT_UPLOAD, 1L);
  set(CURLOPT_READFUNCTION, &Upload::Read);
  set(CURLOPT_READDATA, &upload);
  set(CURLOPT_WRITEFUNCTION, &Drop);
  const CURLcode code = curl_easy_perform(curl.get());
  long answer = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer);
  curl_slist_free_all(to);
  curl_slist_free_all(connect_to);
  return Judge(request, code, answer);
}

}  // namespace

Status SendMail(const SmtpRequest& request) {
  if (request.username.empty()) return SendOnce(request, "", "");
  if (!request.secret.empty()) {
    const Status sent = SendOnce(request, "AUTH=CRAM-MD5", request.secret);
    if (request.password.empty() || sent.code() != StatusCode::kUnauthenticated) return sent;
  }
  if (!request.implicit_tls && !request.start_tls && !IsThisHost(request.host)) {
    return InvalidArgument(
        StrCat(request.host, ":", request.port, ": a password is not sent without TLS"));
  }
  return SendOnce(request, "AUTH=PLAIN;AUTH=LOGIN", request.password);
}

}  // namespace vedette::http
