#include "server/notify/slack_escape.h"

namespace vedette::notify {
namespace {

// Is this, between < and >, something that Slack acts on?
bool IsSlackMarkup(std::string_view inside) {
  for (std::string_view start : {"http://", "https://", "mailto:", "tel:", "#C", "@U", "@W",
                                 "!here", "!channel", "!everyone", "!subteam", "!date"}) {
    if (inside.starts_with(start)) return true;
  }
  return false;
}

}  // namespace

std::string EscapeSlack(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

std::string EscapeSlackText(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (rest[0] == '&') {
      const bool entity =
          rest.starts_with("&amp;") || rest.starts_with("&lt;") || rest.starts_with("&gt;");
      out += entity ? "&" : "&amp;";
    } else if (rest[0] == '<') {
      const size_t end = rest.find_first_of("<>\n", 1);
      if (end != rest.npos && rest[end] == '>' && IsSlackMarkup(rest.substr(1, end - 1))) {
        for (size_t k = 0; k <= end; ++k) {
          const bool bare = rest[k] == '&' && !rest.substr(k).starts_with("&amp;") &&
                            !rest.substr(k).starts_with("&lt;") &&
                            !rest.substr(k).starts_with("&gt;");
          out += bare ? "&amp;" : std::string(1, rest[k]);
        }
        i += end;
      } else {
        out += "&lt;";
      }
    } else if (rest[0] == '>') {
      const bool quotes = i == 0 || text[i - 1] == '\n';
      out += quotes ? ">" : "&gt;";
    } else {
      out += rest[0];
    }
  }
  return out;
}

}  // namespace vedette::notify
