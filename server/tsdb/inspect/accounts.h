#pragma once

#include "common/base/status.h"
#include "server/storage/cost.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/index/series_index.h"
#include "server/tsdb/store/store.h"

namespace vedette::tsdb {

struct AccountedParts {
  const Store& store;
  const SeriesIndex& index;
  const Head& head;
};

// Walks everything sealed once and says what each series costs; storage/cost.h says how. About a
// second for a hundred million sealed samples; commits and queries go on meanwhile, so that a report
// of a busy storage is of the moments of the walk, while its sums are right all the same. kDataLoss
// never: what is damaged is passed over, and its bytes are shared.
Result<storage::CostReport> TakeAccounts(const AccountedParts& parts,
                                         const storage::CostRequest& request);

}  // namespace vedette::tsdb
