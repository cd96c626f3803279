#pragma once

#include <fstream>
#include <iostream>
#include <string>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/tls/join_token.h"

namespace vedette::ctl {

// A join token comes from a file, never from the command line, which everybody on a machine can
// read.
// "-" is standard input; not opened by name, since it may be somebody else's pipe.
inline Result<tls::JoinToken> ReadTokenFile(const std::string& path) {
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& in = path == "-" ? std::cin : file;
  if (path != "-" && !file.is_open()) {
    return NotFound(StrCat("cannot read the join token in ", path));
  }
  std::string text(512, '\0');  // Twice what a token can have.
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  Result<tls::JoinToken> token = tls::ParseJoinToken(text);
  if (!token.ok()) return token.status().Annotate(path);
  return token;
}

}  // namespace vedette::ctl
