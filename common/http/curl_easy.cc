#include "common/http/curl_easy.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/base/link_local.h"
#include "common/base/strings.h"
#include "common/compress/compress.h"
#include "common/http/message.h"

namespace vedette::http {
namespace {

// A page of a thousand series has 100 KB and more; curl's own 16 KB mean a poll and a read for
// each.
constexpr long kReceiveBytes = 128 << 10;
constexpr size_t kMaxHeaderBytes = 64 << 10;

Result<long> TlsVersion(const std::string& text, bool maximum) {
  struct Version {
    std::string_view name;
    long min, max;
  };
  static constexpr Version kVersions[] = {
      {"TLS10", CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_0},
      {"TLS11", CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_1},
      {"TLS12", CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_2},
      {"TLS13", CURL_SSLVERSION_TLSv1_3, CURL_SSLVERSION_MAX_TLSv1_3}};
  for (const Version& v : kVersions) {
    if (v.name == text) return maximum ? v.max : v.min;
  }
  return InvalidArgument(StrCat("no such TLS version: ", Quoted(text), " (TLS10 to TLS13)"));
}

// The host and port of a URL, for the text of an error.
std::string HostOf(std::string_view url) {
  const std::string safe = SafeUrl(url);
  const size_t scheme = safe.find("://");
  const size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  return safe.substr(start, safe.find('/', start) - start);
}

}  // namespace

void InitCurl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

Status ApplyTls(void* curl, const TlsClientOptions& tls) {
  const auto text = [&](CURLoption option, const std::string& value) {
    if (!value.empty()) curl_easy_setopt(curl, option, value.c_str());
  };
  const auto blob = [&](CURLoption option, const std::string& pem) {
    curl_blob value{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_COPY};
    if (!pem.empty()) curl_easy_setopt(curl, option, &value);
  };
  text(CURLOPT_CAINFO, tls.ca_file);
  blob(CURLOPT_CAINFO_BLOB, tls.ca);
  text(CURLOPT_SSLCERT, tls.cert_file);
  blob(CURLOPT_SSLCERT_BLOB, tls.cert);
  text(CURLOPT_SSLKEY, tls.key_file);
  blob(CURLOPT_SSLKEY_BLOB, tls.key);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
  long versions = CURL_SSLVERSION_TLSv1_2;
  if (!tls.min_version.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(versions, TlsVersion(tls.min_version, false));
  }
  if (!tls.max_version.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const long max, TlsVersion(tls.max_version, true));
    versions |= max;
  }
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, versions);
  return {};
}

std::string SafeUrl(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const size_t scheme = url.find("://");
  const size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
  const size_t end = std::min(url.find('/', start), url.size());
  const size_t at = url.substr(start, end - start).rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  return StrCat(url.substr(0, start), url.substr(start + at + 1));
}

Result<std::string> TextOrFile(const std::string& text, const std::string& file,
                               std::string_view what) {
  if (file.empty()) return text;
  std::ifstream in(file, std::ios::binary);
  if (!in) return InvalidArgument(StrCat(what, ": cannot read ", Quoted(file)));
  std::string content(std::istreambuf_iterator<char>(in), {});
  return std::string(Trim(content));
}

struct Transfer::State {
  CURL* curl = nullptr;
  curl_slist* headers = nullptr;
  curl_slist* proxy_headers = nullptr;
  const std::atomic<bool>* cancelled = nullptr;
  std::string url;
  std::string send_body;
  size_t max_body_bytes = 0;
  bool too_large = false;
  bool headers_too_large = false;
  bool led_astray = false;
  bool posts = false;
  bool private_headers = false;  // Some that the configuration gives, for this peer alone.
  bool headers_would_leave = false;
  bool redirects = false;  // What is being answered now, by its status.
  size_t header_bytes = 0;
  ClientResponse response;
  std::array<char, CURL_ERROR_SIZE> error{};

  ~State() {
    curl_slist_free_all(headers);
    curl_slist_free_all(proxy_headers);
    if (curl != nullptr) curl_easy_cleanup(curl);
  }

  template <typename T>
  void Set(CURLoption option, T value) {
    curl_easy_setopt(curl, option, value);
  }
  void Set(CURLoption option, const std::string& text) {
    curl_easy_setopt(curl, option, text.c_str());
  }

  static size_t OnBody(char* data, size_t, size_t n, void* user) {
    State& state = *static_cast<State*>(user);
    if (state.cancelled != nullptr && state.cancelled->load()) return 0;
    if (n > state.max_body_bytes - state.response.body.size()) {
      state.too_large = true;
      return 0;
    }
    state.response.body.append(data, n);
    return n;
  }

  static size_t OnHeader(char* data, size_t, size_t n, void* user) {
    State& state = *static_cast<State*>(user);
    const std::string_view line = Trim(std::string_view(data, n));
    if (line.starts_with("HTTP/")) {  // A redirect's answer, or 100 Continue, came before.
      state.response.headers = {};
      state.header_bytes = 0;
      const size_t space = line.find(' ');
      state.redirects = space != std::string_view::npos && line.substr(space).starts_with(" 3");
    }
    state.header_bytes += n;
    if (state.header_bytes > kMaxHeaderBytes) {
      state.headers_too_large = true;
      return 0;
    }
    if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
      const std::string_view name = Trim(line.substr(0, colon));
      const std::string_view value = Trim(line.substr(colon + 1));
      if (state.private_headers && state.redirects && EqualsIgnoreCase(name, "Location") &&
          state.LeadsElsewhere(std::string(value))) {
        state.headers_would_leave = true;
        return 0;
      }
      state.response.headers.Add(name, value);
    }
    return n;
  }

  // Whether a Location is another origin than where the request went. curl keeps its own credentials
  // from others; headers that we hand to it go wherever it goes.
  bool LeadsElsewhere(const std::string& location) const {
    char* at = nullptr;
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &at);
    const std::unique_ptr<CURLU, void (*)(CURLU*)> from(curl_url(), curl_url_cleanup);
    const std::unique_ptr<CURLU, void (*)(CURLU*)> to(curl_url(), curl_url_cleanup);
    for (CURLU* u : {from.get(), to.get()}) {
      if (at == nullptr || curl_url_set(u, CURLUPART_URL, at, 0) != CURLUE_OK) return true;
    }
    if (curl_url_set(to.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) return true;
    const auto part = [](CURLU* u, CURLUPart which) {
      char* text = nullptr;
      std::string out;
      if (curl_url_get(u, which, &text, CURLU_DEFAULT_PORT) == CURLUE_OK) out = text;
      curl_free(text);
      return out;
    };
    for (const CURLUPart which : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
      if (!EqualsIgnoreCase(part(from.get(), which), part(to.get(), which))) return true;
    }
    return false;
  }

  // A peer may send us elsewhere, but not to the addresses that only this machine may ask: whoever
  // wants those names them in the configuration.
  static curl_socket_t OnOpenSocket(void* user, curlsocktype, curl_sockaddr* address) {
    State& state = *static_cast<State*>(user);
    long redirects = 0;
    curl_easy_getinfo(state.curl, CURLINFO_REDIRECT_COUNT, &redirects);
    if (redirects > 0 && IsLinkLocal(&address->addr)) {
      state.led_astray = true;
      return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  static int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    const State& state = *static_cast<State*>(user);
    return state.cancelled != nullptr && state.cancelled->load() ? 1 : 0;
  }

  Status AddHeader(curl_slist*& list, std::string_view name, std::string_view value) {
    if (name.empty() || name.find_first_of("\r\n:") != std::string_view::npos ||
        value.find_first_of("\r\n") != std::string_view::npos) {
      return InvalidArgument(StrCat("header ", Quoted(name), ": line break or bad name"));
    }
    // "Name;" is how curl is told to send a header without a value.
    const std::string line = value.empty() ? StrCat(name, ";") : StrCat(name, ": ", value);
    list = curl_slist_append(list, line.c_str());
    return {};
  }

  // curl takes the name it checks from the URL: another one goes into the URL, and the connection
  // to where the URL pointed. The Host header stays what it was.
  Status SetServerName(const std::string& name) {
    const std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(curl_url(), curl_url_cleanup);
    if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
      return InvalidArgument(StrCat("not a URL: ", Quoted(SafeUrl(url))));
    }
    const auto part = [&](CURLUPart which, unsigned flags) {
      char* text = nullptr;
      std::string out;
      if (curl_url_get(parsed.get(), which, &text, flags) == CURLUE_OK) out = text;
      curl_free(text);
      return out;
    };
    if (part(CURLUPART_SCHEME, 0) != "https") return {};
    const std::string host = part(CURLUPART_HOST, 0), port = part(CURLUPART_PORT, 0);
    VEDETTE_RETURN_IF_ERROR(
        AddHeader(headers, "Host", port.empty() ? host : StrCat(host, ":", port)));
    if (curl_url_set(parsed.get(), CURLUPART_HOST, name.c_str(), 0) != CURLUE_OK) {
      return InvalidArgument(StrCat("not a server name: ", Quoted(name)));
    }
    url = part(CURLUPART_URL, 0);
    curl_slist_free_all(connect_to);
    connect_to = curl_slist_append(
        nullptr,
        StrCat(name, ":", part(CURLUPART_PORT, CURLU_DEFAULT_PORT), ":", host, ":").c_str());
    Set(CURLOPT_CONNECT_TO, connect_to);
    return {};
  }
  curl_slist* connect_to = nullptr;
  curl_slist* resolve = nullptr;
  bool detailed = false;

  // Of the last exchange; curl's times are all counted from its begin.
  ClientDetail Detail() const {
    const auto at = [&](CURLINFO what) {
      curl_off_t us = 0;
      curl_easy_getinfo(curl, what, &us);
      return static_cast<double>(us) / 1e6;
    };
    const double resolved = at(CURLINFO_NAMELOOKUP_TIME_T), connected = at(CURLINFO_CONNECT_TIME_T),
                 secured = at(CURLINFO_APPCONNECT_TIME_T), sent = at(CURLINFO_PRETRANSFER_TIME_T),
                 begun = at(CURLINFO_STARTTRANSFER_TIME_T), ended = at(CURLINFO_TOTAL_TIME_T);
    ClientDetail detail;
    const auto phase = [](double from, double to) { return to > from ? to - from : 0; };
    detail.resolve_seconds = resolved;
    detail.connect_seconds = phase(resolved, connected);
    detail.tls_seconds = secured > 0 ? phase(connected, secured) : 0;
    detail.processing_seconds = phase(sent, begun);
    detail.transfer_seconds = phase(begun, ended);
    long number = 0;
    curl_easy_getinfo(curl, CURLINFO_REDIRECT_COUNT, &number);
    detail.redirects = int(number);
    curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &number);
    detail.http_version = number == CURL_HTTP_VERSION_1_0   ? "1.0"
                          : number == CURL_HTTP_VERSION_2_0 ? "2"
                                                            : "1.1";
    return detail;
  }

  Status SetProxy(const ClientOptions& options) {
    if (!options.proxy_url.empty()) {
      Set(CURLOPT_PROXY, options.proxy_url);
      if (!options.no_proxy.empty()) Set(CURLOPT_NOPROXY, options.no_proxy);
    } else if (!options.proxy_from_environment) {
      Set(CURLOPT_PROXY, "");  // Otherwise curl reads the environment of its own accord.
    }
    for (const auto& [name, value] : options.proxy_connect_headers) {
      VEDETTE_RETURN_IF_ERROR(AddHeader(proxy_headers, name, value));
    }
    if (proxy_headers != nullptr) {
      Set(CURLOPT_HEADEROPT, long(CURLHEADER_SEPARATE));
      Set(CURLOPT_PROXYHEADER, proxy_headers);
    }
    return {};
  }

  Status SetCredentials(const ClientOptions& options, const std::string& bearer) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string user,
                             TextOrFile(options.username, options.username_file, "username_file"));
    VEDETTE_ASSIGN_OR_RETURN(const std::string password,
                             TextOrFile(options.password, options.password_file, "password_file"));
    VEDETTE_ASSIGN_OR_RETURN(
        const std::string credentials,
        TextOrFile(options.credentials, options.credentials_file, "credentials_file"));
    // curl's own credentials, rather than a header of ours: it keeps them from other hosts after a
    // redirect. (A custom Authorization header is held back there too, since 7.58.)
    if (!user.empty() || !password.empty()) {
      Set(CURLOPT_HTTPAUTH, long(CURLAUTH_BASIC));
      Set(CURLOPT_USERNAME, user);
      Set(CURLOPT_PASSWORD, password);
    } else if (!bearer.empty()) {
      VEDETTE_RETURN_IF_ERROR(AddHeader(headers, "Authorization", "Bearer " + bearer));
    } else if (!credentials.empty()) {
      const std::string type =
          options.authorization_type.empty() ? "Bearer" : options.authorization_type;
      VEDETTE_RETURN_IF_ERROR(AddHeader(headers, "Authorization", StrCat(type, " ", credentials)));
    }
    if (options.sigv4) {
      const SigV4Options& sig = *options.sigv4;
      Set(CURLOPT_AWS_SIGV4, StrCat("aws:amz:", sig.region, ":", sig.service));
      Set(CURLOPT_USERNAME, sig.access_key);
      Set(CURLOPT_PASSWORD, sig.secret_key);
      if (!sig.session_token.empty()) {
        VEDETTE_RETURN_IF_ERROR(AddHeader(headers, "X-Amz-Security-Token", sig.session_token));
      }
    }
    return {};
  }
};

Transfer::Transfer() : state_(std::make_unique<State>()) {
  InitCurl();
  state_->curl = curl_easy_init();
}
Transfer::~Transfer() {
  curl_slist_free_all(state_->connect_to);
  curl_slist_free_all(state_->resolve);
}

void* Transfer::handle() const { return state_->curl; }

Status Transfer::Prepare(const ClientOptions& options, const ClientRequest& request,
                         const std::atomic<bool>* cancelled, std::string bearer,
                         std::string buffer) {
  State& s = *state_;
  if (s.curl == nullptr) return Internal("curl does not start");
  curl_easy_reset(s.curl);  // Keeps the connections.
  curl_slist_free_all(std::exchange(s.headers, nullptr));
  curl_slist_free_all(std::exchange(s.proxy_headers, nullptr));
  s.cancelled = cancelled;
  s.url = request.url;
  s.send_body = request.body;
  s.max_body_bytes =
      size_t(request.max_body_bytes > 0 ? request.max_body_bytes : options.max_body_bytes);
  s.too_large = s.headers_too_large = s.led_astray = s.headers_would_leave = s.redirects = false;
  s.posts = request.method == "POST";
  s.private_headers = options.follow_redirects &&
                      (!options.headers.empty() || !options.header_files.empty() ||
                       (options.sigv4 && !options.sigv4->session_token.empty()));
  s.header_bytes = 0;
  s.error.fill('\0');
  s.response = {};
  s.response.body = std::move(buffer);
  s.response.body.clear();

  if (!request.url.starts_with("http://") && !request.url.starts_with("https://")) {
    return InvalidArgument(StrCat("not an http or https URL: ", Quoted(SafeUrl(request.url))));
  }
  VEDETTE_RETURN_IF_ERROR(ApplyTls(s.curl, options.tls));
  if (!options.tls.server_name.empty() && options.unix_socket.empty()) {
    VEDETTE_RETURN_IF_ERROR(s.SetServerName(options.tls.server_name));
  }
  VEDETTE_RETURN_IF_ERROR(s.SetProxy(options));
  VEDETTE_RETURN_IF_ERROR(s.SetCredentials(options, bearer));

  s.Set(CURLOPT_URL, s.url);
  s.Set(CURLOPT_NOSIGNAL, 1L);
  s.Set(CURLOPT_BUFFERSIZE, kReceiveBytes);
  s.Set(CURLOPT_ERRORBUFFER, s.error.data());
  s.Set(CURLOPT_PROTOCOLS_STR, "http,https");
  s.Set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  s.Set(CURLOPT_FOLLOWLOCATION, options.follow_redirects ? 1L : 0L);
  s.Set(CURLOPT_MAXREDIRS, 10L);
  s.Set(CURLOPT_TIMEOUT_MS, long(request.timeout_ms > 0 ? request.timeout_ms : options.timeout_ms));
  s.Set(CURLOPT_CONNECTTIMEOUT_MS, long(options.connect_timeout_ms));
  s.Set(CURLOPT_DNS_SHUFFLE_ADDRESSES, options.round_robin_dns ? 1L : 0L);
  s.Set(CURLOPT_HTTP_VERSION,
        long(options.enable_http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  s.Set(CURLOPT_USERAGENT, options.user_agent);
  if (!options.unix_socket.empty()) s.Set(CURLOPT_UNIX_SOCKET_PATH, options.unix_socket);
  s.detailed = request.detailed;
  if (!options.resolve.empty()) {
    curl_slist_free_all(s.resolve);
    s.resolve = curl_slist_append(nullptr, options.resolve.c_str());
    s.Set(CURLOPT_RESOLVE, s.resolve);
  }
  s.Set(CURLOPT_OPENSOCKETFUNCTION, &State::OnOpenSocket);
  s.Set(CURLOPT_OPENSOCKETDATA, &s);
  s.Set(CURLOPT_WRITEFUNCTION, &State::OnBody);
  s.Set(CURLOPT_WRITEDATA, &s);
  s.Set(CURLOPT_HEADERFUNCTION, &State::OnHeader);
  s.Set(CURLOPT_HEADERDATA, &s);
  s.Set(CURLOPT_NOPROGRESS, 0L);
  s.Set(CURLOPT_XFERINFOFUNCTION, &State::OnProgress);
  s.Set(CURLOPT_XFERINFODATA, &s);

  if (request.method == "HEAD") {
    s.Set(CURLOPT_NOBODY, 1L);
  } else if (!s.send_body.empty() || request.method == "POST" || request.method == "PUT") {
    s.Set(CURLOPT_POST, 1L);
    s.Set(CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(s.send_body.size()));
    s.Set(CURLOPT_POSTFIELDS, s.send_body.data());
    if (request.method != "POST") s.Set(CURLOPT_CUSTOMREQUEST, request.method);
    // No second of waiting for a 100 Continue that many servers never send.
    // Not with a signature of AWS: curl would sign the header that it then leaves out.
    if (!options.sigv4) s.headers = curl_slist_append(s.headers, "Expect:");
    s.Set(CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
    // curl would call every body a form.
    if (!request.headers.Has("Content-Type")) {
      s.headers = curl_slist_append(s.headers, "Content-Type:");
    }
  } else if (request.method != "GET") {
    s.Set(CURLOPT_CUSTOMREQUEST, request.method);
  }
  // Decoded here, not by curl, whose decoders know no limit on what they make.
  if (options.accept_compressed && !request.headers.Has("Accept-Encoding")) {
    VEDETTE_RETURN_IF_ERROR(s.AddHeader(s.headers, "Accept-Encoding", "zstd, gzip"));
  }
  for (const auto& [name, value] : options.headers) {
    if (request.headers.Has(name)) continue;
    VEDETTE_RETURN_IF_ERROR(s.AddHeader(s.headers, name, value));
  }
  for (const auto& [name, file] : options.header_files) {
    if (request.headers.Has(name)) continue;
    VEDETTE_ASSIGN_OR_RETURN(const std::string value, TextOrFile("", file, "http_headers"));
    VEDETTE_RETURN_IF_ERROR(s.AddHeader(s.headers, name, value));
  }
  for (const auto& [name, value] : request.headers) {
    VEDETTE_RETURN_IF_ERROR(s.AddHeader(s.headers, name, value));
  }
  s.Set(CURLOPT_HTTPHEADER, s.headers);
  return {};
}

int Transfer::Perform() { return curl_easy_perform(state_->curl); }

Result<ClientResponse> Transfer::Finish(int code) {
  State& s = *state_;
  const std::string host = HostOf(s.url);
  // curl's sentence may hold a URL, and so a secret: only our own words and its fixed ones go out.
  const std::string why = StrCat(host, ": ", curl_easy_strerror(CURLcode(code)));
  if (s.cancelled != nullptr && s.cancelled->load()) return Cancelled(StrCat(host, ": cancelled"));
  if (s.too_large) {
    return ResourceExhausted(
        StrCat(host, ": the body is over the limit of ", s.max_body_bytes, " bytes"));
  }
  if (s.headers_too_large) {
    return ResourceExhausted(
        StrCat(host, ": the headers are over the limit of ", kMaxHeaderBytes, " bytes"));
  }
  if (s.headers_would_leave) {
    return PermissionDenied(
        StrCat(host, ": redirects to another host, and the request has headers of the configuration "
                     "that are for this one alone: not followed"));
  }
  if (s.led_astray) {
    return PermissionDenied(
        StrCat(host, ": redirects to a link-local address, where clouds keep a machine's keys: not "
                     "followed"));
  }
  // What was posted and answered with success has been done: where the rest of the answer is lost, it
  // must not look as if it had not, and be sent a second time.
  long answered = 0;
  curl_easy_getinfo(s.curl, CURLINFO_RESPONSE_CODE, &answered);
  const bool broke_off = code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR ||
                         code == CURLE_OPERATION_TIMEDOUT;
  if (s.posts && broke_off && answered / 100 == 2) code = CURLE_OK;
  switch (code) {
    case CURLE_OK:
      break;
    case CURLE_OPERATION_TIMEDOUT:
      return DeadlineExceeded(why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return Unauthenticated(why);
    case CURLE_ABORTED_BY_CALLBACK:
      return Cancelled(why);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return InvalidArgument(why);
    default:
      return Unavailable(why);
  }
  ClientResponse response = std::move(s.response);
  s.response = {};
  long status = 0;
  curl_easy_getinfo(s.curl, CURLINFO_RESPONSE_CODE, &status);
  response.status = int(status);
  char* final_url = nullptr;
  curl_easy_getinfo(s.curl, CURLINFO_EFFECTIVE_URL, &final_url);
  if (final_url != nullptr) response.final_url = final_url;
  curl_off_t duration_us = 0;
  curl_easy_getinfo(s.curl, CURLINFO_TOTAL_TIME_T, &duration_us);
  response.duration_us = int64_t(duration_us);
  response.wire_bytes = int64_t(response.body.size());
  if (s.detailed) response.detail = s.Detail();
  return response;
}

Status DecodeBody(ClientResponse& response, size_t max_bytes, BodyBuffers* buffers) {
  const std::string_view name = Trim(response.headers.Get("Content-Encoding"));
  if (name.empty() || response.body.empty()) return {};
  const std::string host = HostOf(response.final_url);
  const auto encoding = compress::EncodingFromName(name);
  if (!encoding) return InvalidArgument(StrCat(host, ": unknown Content-Encoding ", Quoted(name)));
  std::string decoded = buffers != nullptr ? buffers->Take() : std::string();
  VEDETTE_RETURN_IF_ERROR(
      compress::Decompress(*encoding, response.body, max_bytes, decoded).Annotate(host));
  response.body.swap(decoded);
  if (buffers != nullptr) buffers->Give(std::move(decoded));
  response.headers.Remove("Content-Encoding");
  return {};
}

Result<Token> FetchToken(const OAuth2Options& oauth, const ClientOptions& client) {
  VEDETTE_ASSIGN_OR_RETURN(
      const std::string secret,
      TextOrFile(oauth.client_secret, oauth.client_secret_file, "client_secret_file"));
  ClientOptions options;
  options.timeout_ms = client.timeout_ms;
  options.connect_timeout_ms = client.connect_timeout_ms;
  options.follow_redirects = false;
  options.max_body_bytes = 1 << 20;
  options.tls = oauth.tls;
  options.proxy_url = oauth.proxy_url;
  options.username = oauth.client_id;
  options.password = secret;
  ClientRequest request{.method = "POST", .url = oauth.token_url};
  Params form;
  form.Add("grant_type", "client_credentials");
  std::string scopes;
  for (const std::string& scope : oauth.scopes) StrAppend(scopes, scopes.empty() ? "" : " ", scope);
  if (!scopes.empty()) form.Add("scope", scopes);
  for (const auto& [name, value] : oauth.endpoint_params) form.Add(name, value);
  request.body = form.Encode();
  request.headers.Set("Content-Type", "application/x-www-form-urlencoded");
  Transfer transfer;
  VEDETTE_RETURN_IF_ERROR(transfer.Prepare(options, request, nullptr, "", ""));
  Result<ClientResponse> answer = transfer.Finish(transfer.Perform());
  if (!answer.ok()) return answer.status().Annotate("OAuth2 token");
  VEDETTE_RETURN_IF_ERROR(DecodeBody(*answer, size_t(options.max_body_bytes)));
  if (answer->status != 200) {
    return Unauthenticated(
        StrCat("OAuth2 token: ", HostOf(oauth.token_url), " answers ", answer->status));
  }
  const nlohmann::json json = nlohmann::json::parse(answer->body, nullptr, false);
  if (!json.is_object() || !json.contains("access_token") || !json["access_token"].is_string()) {
    return Unauthenticated(
        StrCat("OAuth2 token: ", HostOf(oauth.token_url), " answers without an access_token"));
  }
  Token token{.value = json["access_token"].get<std::string>()};
  if (json.contains("expires_in") && json["expires_in"].is_number()) {
    token.lifetime_ms = int64_t(json["expires_in"].get<double>() * 1000);
  }
  return token;
}

}  // namespace vedette::http
