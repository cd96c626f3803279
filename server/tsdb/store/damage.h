#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/base/strings.h"
#include "server/tsdb/store/store.h"

namespace vedette::tsdb {

// Takes a sentence about something that is damaged; it is counted, logged and shown.
using DamageSink = std::function<void(std::string_view what)>;

// For a walk over a family that ended: where damage ended it, says so and goes on behind it.
inline bool PassDamage(StoreIterator& it, std::string_view what, const DamageSink& damage) {
  const Status s = it.status();
  if (s.code() != StatusCode::kDataLoss) return false;
  damage(StrCat(what, ": ", s.message()));
  return it.SkipDamage();
}

}  // namespace vedette::tsdb
