#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/promql/parser/parser.h"
#include "server/promql/parser/print.h"

// Law: what is printed parses, and prints the same again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::promql;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ParserOptions all{true, true, true};
  vedette::Result<ExprPtr> first = ParseExpr(text, all);
  if (!first.ok()) return 0;
  const std::string printed = Print(**first);
  vedette::Result<ExprPtr> second = ParseExpr(printed, all);
  if (!second.ok() || Print(**second) != printed) std::abort();
  return 0;
}
