#include "runtime/core/cpu_cache.h"

#include <fstream>
#include <set>

namespace strata {
namespace {

constexpr int kMaxCpus = 4096;
constexpr int kMaxCaches = 16;

std::string first_word(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

// "32768K"
std::uint64_t size_of(const std::string& text) {
  std::uint64_t value = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
    value = value * 10 + static_cast<std::uint64_t>(text[at] - '0');
  const char unit = at < text.size() ? text[at] : ' ';
  return unit == 'K' ? value << 10 : unit == 'M' ? value << 20 : value;
}

// The folder of the highest cache level of a CPU; "" when there is none.
std::string highest_cache(const std::string& cpu) {
  std::string best;
  std::string best_level = "0";
  for (int i = 0; i < kMaxCaches; ++i) {
    const std::string folder = cpu + "/cache/index" + std::to_string(i);
    const std::string level = first_word(folder + "/level");
    if (level.empty()) break;
    if (level < best_level) continue;
    best = folder;
    best_level = level;
  }
  return best;
}

}  // namespace

std::uint64_t last_level_cache_bytes(const std::string& root) {
  std::uint64_t sum = 0;
  std::set<std::string> seen;  // CPUs that share a cache name the same list
  for (int i = 0; i < kMaxCpus; ++i) {
    const std::string cpu = root + "/sys/devices/system/cpu/cpu" + std::to_string(i);
    const std::string cache = highest_cache(cpu);
    if (cache.empty()) break;
    if (seen.insert(first_word(cache + "/shared_cpu_list")).second)
      sum += size_of(first_word(cache + "/size"));
  }
  return sum;
}

}  // namespace strata
