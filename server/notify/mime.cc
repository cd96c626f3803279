#include "server/notify/mime.h"

#include <array>

#include "common/base/strings.h"
#include "server/template/time_format.h"

namespace vedette::notify {
namespace {

constexpr size_t kMaxLine = 76;
constexpr std::string_view kHex = "0123456789ABCDEF";

void AppendEscaped(std::string& out, unsigned char c) {
  out += '=';
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

bool IsAscii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) return false;
  }
  return true;
}

// A header that carries addresses: names may be encoded, the addresses themselves may not.
bool HoldsAddresses(std::string_view name) {
  return name == "From" || name == "To" || name == "Cc" || name == "Bcc" || name == "Reply-To" ||
         name == "Sender";
}

std::string EncodeAddresses(std::string_view list) {
  std::string out;
  for (const std::string_view piece : Split(list, ',')) {
    if (!out.empty()) out += ", ";
    const std::string_view one = Trim(piece);
    const size_t open = one.rfind('<');
    if (open == one.npos || IsAscii(one)) {
      out += one;
    } else {
      StrAppend(out, EncodeHeader(Trim(one.substr(0, open))), " ", one.substr(open));
    }
  }
  return out;
}

void AppendPart(std::string& out, std::string_view type, std::string_view text) {
  StrAppend(out, "Content-Transfer-Encoding: quoted-printable\r\nContent-Type: ", type,
            "; charset=UTF-8\r\n\r\n", QuotedPrintable(text), "\r\n");
}

}  // namespace

Result<std::vector<std::string>> ParseAddresses(std::string_view list) {
  std::vector<std::string> out;
  for (const std::string_view piece : Split(list, ',')) {
    std::string_view one = Trim(piece);
    if (one.empty()) continue;
    if (one.find_first_of("\r\n") != one.npos) {
      return InvalidArgument(StrCat("not a mail address: ", Quoted(one)));
    }
    if (const size_t open = one.rfind('<'); open != one.npos) {
      const size_t close = one.find('>', open);
      if (close == one.npos) return InvalidArgument(StrCat("not a mail address: ", Quoted(one)));
      one = Trim(one.substr(open + 1, close - open - 1));
    }
    const size_t at = one.find('@');
    if (at == 0 || at == one.npos || at + 1 == one.size() ||
        one.find_first_of(" \t\r\n<>\"") != one.npos) {
      return InvalidArgument(StrCat("not a mail address: ", Quoted(one)));
    }
    out.emplace_back(one);
  }
  if (out.empty()) return InvalidArgument("no mail address is given");
  return out;
}

std::string EncodeHeader(std::string_view value) {
  std::string flat;
  for (const char c : value) flat += c == '\r' || c == '\n' || c == '\t' ? ' ' : c;
  if (IsAscii(flat)) return flat;
  // Words of at most 75 characters, cut between characters.
  constexpr std::string_view kBegin = "=?UTF-8?q?";
  std::string out, word(kBegin);
  for (size_t i = 0; i < flat.size();) {
    size_t end = i + 1;
    while (end < flat.size() && (static_cast<unsigned char>(flat[end]) & 0xc0) == 0x80) ++end;
    std::string piece;
    for (; i < end; ++i) {
      const char c = flat[i];
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (plain) {
        piece += c;
      } else if (c == ' ') {
        piece += '_';
      } else {
        AppendEscaped(piece, static_cast<unsigned char>(c));
      }
    }
    if (word.size() + piece.size() + 2 > 75) {
      StrAppend(out, word, "?=\r\n ");
      word = kBegin;
    }
    word += piece;
  }
  return StrCat(out, word, "?=");
}

std::string QuotedPrintable(std::string_view text) {
  std::string out, line;
  const auto flush = [&](std::string_view end) {
    // White space at the end of a line is lost on the way unless it is escaped.
    if (end == "\r\n" && !line.empty() && (line.back() == ' ' || line.back() == '\t')) {
      const char last = line.back();
      line.pop_back();
      AppendEscaped(line, static_cast<unsigned char>(last));
    }
    StrAppend(out, line, end);
    line.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n')) {
      if (c == '\r') ++i;
      flush("\r\n");
      continue;
    }
    std::string piece;
    const auto u = static_cast<unsigned char>(c);
    if ((u >= 0x20 && u <= 0x7e && c != '=') || c == '\t') {
      piece = std::string(1, c);
    } else {
      AppendEscaped(piece, u);
    }
    if (line.size() + piece.size() > kMaxLine - 3) flush("=\r\n");
    line += piece;
  }
  flush("");
  return out;
}

std::string MailDate(int64_t t_ms) {
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                       "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const tmpl::CivilTime c = tmpl::ToCivil(t_ms / 1000);
  const auto two = [](int v) { return StrCat(v < 10 ? "0" : "", v); };
  return StrCat(kDays[static_cast<size_t>(c.weekday)], ", ", two(c.day), " ",
                kMonths[static_cast<size_t>(c.month - 1)], " ", c.year, " ", two(c.hour), ":",
                two(c.minute), ":", two(c.second), " +0000");
}

std::string WriteMime(const MimeMessage& m) {
  std::string out;
  for (const auto& [name, value] : m.headers) {
    std::string flat;
    for (const char c : value) flat += c == '\r' || c == '\n' ? ' ' : c;
    StrAppend(out, name, ": ", HoldsAddresses(name) ? EncodeAddresses(flat) : EncodeHeader(flat),
              "\r\n");
  }
  out += "MIME-Version: 1.0\r\n";
  if (m.text.empty() != m.html.empty()) {
    AppendPart(out, m.html.empty() ? "text/plain" : "text/html", m.html.empty() ? m.text : m.html);
    return out;
  }
  StrAppend(out, "Content-Type: multipart/alternative; boundary=\"", m.boundary, "\"\r\n\r\n");
  // The best one last, as readers' programs take the last that they can show.
  StrAppend(out, "--", m.boundary, "\r\n");
  AppendPart(out, "text/plain", m.text);
  StrAppend(out, "--", m.boundary, "\r\n");
  AppendPart(out, "text/html", m.html);
  StrAppend(out, "--", m.boundary, "--\r\n");
  return out;
}

}  // namespace vedette::notify
