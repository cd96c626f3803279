#include "common/http/message.h"

#include <algorithm>

#include "common/base/strings.h"

namespace vedette::http {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = Lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// "0.123" to 123; anything odd counts as 1, as most servers read it.
int Quality(std::string_view text) {
  if (text.empty() || text[0] == '1') return 1000;
  if (text[0] != '0') return 1000;
  int value = 0, scale = 100;
  for (size_t i = 2; i < text.size() && i < 5; ++i, scale /= 10) {
    if (text[i] < '0' || text[i] > '9') return 1000;
    value += (text[i] - '0') * scale;
  }
  return value;
}

}  // namespace

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view Headers::Get(std::string_view name) const {
  for (const Field& field : fields_) {
    if (EqualsIgnoreCase(field.first, name)) return field.second;
  }
  return {};
}

bool Headers::Has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const Field& f) { return EqualsIgnoreCase(f.first, name); });
}

void Headers::Set(std::string_view name, std::string_view value) {
  Remove(name);
  Add(name, value);
}

void Headers::Add(std::string_view name, std::string_view value) {
  fields_.emplace_back(name, value);
}

void Headers::Remove(std::string_view name) {
  std::erase_if(fields_, [&](const Field& f) { return EqualsIgnoreCase(f.first, name); });
}

std::string_view Params::Get(std::string_view name) const {
  for (const Pair& pair : pairs_) {
    if (pair.first == name) return pair.second;
  }
  return {};
}

bool Params::Has(std::string_view name) const {
  return std::any_of(pairs_.begin(), pairs_.end(), [&](const Pair& p) { return p.first == name; });
}

std::vector<std::string> Params::All(std::string_view name) const {
  std::vector<std::string> out;
  for (const Pair& pair : pairs_) {
    if (pair.first == name) out.push_back(pair.second);
  }
  return out;
}

void Params::Add(std::string_view name, std::string_view value) {
  pairs_.emplace_back(name, value);
}

std::string Params::Encode() const {
  std::string out;
  for (const Pair& pair : pairs_) {
    if (!out.empty()) out.push_back('&');
    StrAppend(out, UrlEncode(pair.first), "=", UrlEncode(pair.second));
  }
  return out;
}

Status ParseForm(std::string_view text, Params& out) {
  while (!text.empty()) {
    const size_t end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty()) continue;
    if (out.size() >= kMaxParams) {
      return InvalidArgument(StrCat("more than ", kMaxParams, " parameters"));
    }
    const size_t equals = pair.find('=');
    VEDETTE_ASSIGN_OR_RETURN(const std::string name, UrlDecode(pair.substr(0, equals), true));
    std::string value;
    if (equals != std::string_view::npos) {
      VEDETTE_ASSIGN_OR_RETURN(value, UrlDecode(pair.substr(equals + 1), true));
    }
    out.Add(name, value);
  }
  return {};
}

Result<std::string> UrlDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return InvalidArgument(StrCat("not a URL escape: ", Quoted(text.substr(i, 3))));
      }
      out.push_back(char(high << 4 | low));
      i += 2;
    } else {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

std::string UrlEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    const char l = Lower(c);
    if ((l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
        c == '~') {
      out.push_back(c);
    } else {
      const auto u = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kHex[u >> 4]);
      out.push_back(kHex[u & 15]);
    }
  }
  return out;
}

int QualityOf(std::string_view header, std::string_view token, int otherwise) {
  int star = -1;
  for (std::string_view entry : Split(header, ',')) {
    const std::vector<std::string_view> parts = Split(entry, ';');
    int quality = 1000;
    for (size_t i = 1; i < parts.size(); ++i) {
      const std::string_view parameter = Trim(parts[i]);
      if (parameter.size() > 2 && Lower(parameter[0]) == 'q' && parameter[1] == '=') {
        quality = Quality(parameter.substr(2));
      }
    }
    const std::string_view name = Trim(parts[0]);
    if (EqualsIgnoreCase(name, token)) return quality;
    if (name == "*") star = quality;
  }
  return star >= 0 ? star : otherwise;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return status < 300 ? "Success" : status < 400 ? "Redirection" : "Error";
  }
}

}  // namespace vedette::http
