#pragma once

#include <string>
#include <string_view>

namespace vedette::notify {

// &, < and > as &amp; &lt; &gt;: plain data inside Slack's mrkdwn.
std::string EscapeSlack(std::string_view text);

// The same for text that a person wrote: what is Slack's own markup (<https://…|text>, <@U1>,
// <!here>, <#C1>, an entity, a quoting > at the start of a line) stays, everything else is escaped.
std::string EscapeSlackText(std::string_view text);

}  // namespace vedette::notify
