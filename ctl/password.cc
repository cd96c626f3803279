#include "ctl/password.h"

#include <string>

#include "common/http/basic_auth.h"

namespace vedette::ctl {

Status HashPassword::Run(std::istream& in, std::ostream& out) const {
  std::string password;
  std::getline(in, password);
  if (!password.empty() && password.back() == '\r') password.pop_back();
  Result<std::string> hash = http::MakeBcryptHash(password, cost);
  if (!hash.ok()) return hash.status().Annotate("the password on standard input");
  out << *hash << "\n";
  return {};
}

}  // namespace vedette::ctl
