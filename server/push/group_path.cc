#include "server/push/group_path.h"

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "common/http/message.h"

namespace vedette::push {
namespace {

constexpr std::string_view kBase64Suffix = "@base64";

int SixBits(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

Result<std::string> DecodeBase64Url(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return InvalidArgument("illegal base64: one character too many");
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int six = SixBits(c);
    if (six < 0) {
      return InvalidArgument(StrCat("illegal base64: ", Quoted(std::string_view(&c, 1)),
                                    " is not in the URL alphabet"));
    }
    bits = bits << 6 | static_cast<uint32_t>(six);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  return out;
}

}  // namespace

Result<Labels> ParseGroupPath(std::string_view escaped) {
  while (escaped.ends_with('/') && !escaped.ends_with("//")) escaped.remove_suffix(1);
  const std::vector<std::string_view> parts = Split(escaped, '/');
  if (parts.size() % 2 != 0) {
    return InvalidArgument(
        StrCat("odd number of components in ", Quoted(escaped),
               ": a grouping key is job/NAME and then pairs of a label and its value"));
  }
  if (parts.size() / 2 > kMaxGroupingLabels) {
    return InvalidArgument(StrCat(parts.size() / 2, " grouping labels, limit: ",
                                  kMaxGroupingLabels));
  }
  LabelsBuilder labels;
  std::string job;
  for (size_t i = 0; i < parts.size(); i += 2) {
    VEDETTE_ASSIGN_OR_RETURN(std::string name, http::UrlDecode(parts[i], false));
    VEDETTE_ASSIGN_OR_RETURN(std::string value, http::UrlDecode(parts[i + 1], false));
    if (name.ends_with(kBase64Suffix)) {
      name.resize(name.size() - kBase64Suffix.size());
      Result<std::string> decoded = DecodeBase64Url(value);
      if (!decoded.ok()) return decoded.status().Annotate(StrCat("label ", Quoted(name)));
      value = *std::move(decoded);
    }
    if (name.starts_with("__") || !IsLegacyLabelName(name)) {
      return InvalidArgument(StrCat("improper label name ", Quoted(name)));
    }
    if (!IsValidUtf8(value)) {
      return InvalidArgument(StrCat("the value of label ", Quoted(name), " is not UTF-8"));
    }
    if (i == 0) {
      if (name != "job") {
        return InvalidArgument(
            StrCat("a grouping key begins with job, not with ", Quoted(name)));
      }
      job = std::move(value);
    } else {
      labels.Set(name, value);
    }
  }
  if (job.empty()) return InvalidArgument("job name is required");
  // The one in front is the job, whatever the rest says.
  labels.Set("job", job);
  return labels.Build();
}

}  // namespace vedette::push
