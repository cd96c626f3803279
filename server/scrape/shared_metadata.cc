#include "server/scrape/shared_metadata.h"

#include <functional>
#include <unordered_map>

#include "common/base/mutex.h"

namespace vedette::scrape {

std::shared_ptr<const MetadataMap> SharedMetadata(std::shared_ptr<const MetadataMap> map) {
  static Mutex mu;
  static std::unordered_multimap<size_t, std::weak_ptr<const MetadataMap>>& known =
      *new std::unordered_multimap<size_t, std::weak_ptr<const MetadataMap>>();
  size_t hash = map->size();
  for (const auto& [name, metadata] : *map) {
    for (const std::string* s : {&name, &metadata.help, &metadata.unit}) {
      hash = hash * 0x9e3779b97f4a7c15u + std::hash<std::string>()(*s);
    }
    hash = hash * 31 + static_cast<size_t>(metadata.type);
  }
  MutexLock lock(mu);
  for (auto [it, end] = known.equal_range(hash); it != end;) {
    const std::shared_ptr<const MetadataMap> other = it->second.lock();
    if (other == nullptr) {
      it = known.erase(it);
      continue;
    }
    if (*other == *map) return other;
    ++it;
  }
  known.emplace(hash, map);
  return map;
}

}  // namespace vedette::scrape
