#pragma once

#include "server/promql/functions/annotations.h"
#include "server/promql/functions/column.h"
#include "server/promql/functions/numbers.h"
#include "server/promql/parser/ast.h"

namespace vedette::promql {

// lhs op rhs of two numbers; comparisons give 1 or 0.
double ScalarOp(BinaryOp op, double lhs, double rhs);

// One element of a vector on one side of an operator: a float, or a histogram.
struct Operand {
  double value = 0;
  const Histogram* histogram = nullptr;
};
struct Outcome {
  bool keep = false;  // False: no element comes out.
  double value = 0;
  HistogramPtr histogram;
};
// What `lhs op rhs` gives for elements. A comparison answers with its left side.
Outcome ElementOp(BinaryOp op, const Operand& lhs, const Operand& rhs, PosRange pos,
                  Annotations& notes);

}  // namespace vedette::promql
