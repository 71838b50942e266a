#include "runtime/streaming/residency_pack.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

namespace strata {
namespace {

using Sizes = std::span<const std::uint64_t>;

std::uint64_t sum_of(Sizes sizes, const std::vector<bool>& kept) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) sum += kept[i] ? sizes[i] : 0;
  return sum;
}

// How many evenly spread units fit.
std::size_t most_spread(Sizes sizes, std::uint64_t room) {
  std::size_t low = 0;
  for (std::size_t high = sizes.size(); low < high;) {
    const std::size_t middle = (low + high + 1) / 2;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i)
      if (is_spread(i, middle, sizes.size())) sum += sizes[i];
    if (sum <= room)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// So many evenly spread units, then whatever still fits.
std::vector<bool> spread_and_fill(Sizes sizes, std::uint64_t room, std::size_t spread_units) {
  std::vector<bool> kept(sizes.size(), false);
  std::uint64_t sum = 0;
  for (const bool spread : {true, false}) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (kept[i] || sum + sizes[i] > room) continue;
      if (spread && !is_spread(i, spread_units, sizes.size())) continue;
      kept[i] = true;
      sum += sizes[i];
    }
  }
  return kept;
}

/// Which sums of whole steps some of the units have: a row of bits for the first units each, so
/// that a sum can be taken apart again.
class SubsetSums {
 public:
  SubsetSums(std::span<const std::size_t> steps, std::size_t most)
      : steps_(steps), most_(most), words_(most / 64 + 1), rows_((steps.size() + 1) * words_, 0) {
    rows_[0] = 1;  // none of them: 0
    for (std::size_t i = 0; i < steps_.size(); ++i) add(i);
  }

  // The units of the largest sum.
  std::vector<bool> largest() const {
    std::vector<bool> kept(steps_.size(), false);
    std::size_t sum = most_;
    while (!has(steps_.size(), sum)) --sum;
    for (std::size_t i = steps_.size(); i-- > 0;) {
      if (has(i, sum)) continue;
      kept[i] = true;
      sum -= steps_[i];
    }
    return kept;
  }

 private:
  bool has(std::size_t units, std::size_t sum) const {
    return (rows_[units * words_ + sum / 64] >> (sum % 64) & 1) != 0;
  }

  void add(std::size_t unit) {
    const std::uint64_t* const before = &rows_[unit * words_];
    std::uint64_t* const after = &rows_[(unit + 1) * words_];
    std::copy_n(before, words_, after);
    const std::size_t whole = steps_[unit] / 64;
    const std::size_t bits = steps_[unit] % 64;
    for (std::size_t word = whole; word < words_; ++word) {
      const std::size_t from = word - whole;
      after[word] |= before[from] << bits;
      if (bits > 0 && from > 0) after[word] |= before[from - 1] >> (64 - bits);
    }
  }

  std::span<const std::size_t> steps_;
  std::size_t most_;
  std::size_t words_;
  std::vector<std::uint64_t> rows_;
};

// As many bytes as can be, whichever units these are. Sums are counted in steps that do not depend
// on the room: a sum that fits fits with more room as well.
std::vector<bool> pack(Sizes sizes, std::uint64_t room, std::uint64_t total) {
  constexpr std::uint64_t kMostSteps = std::uint64_t{1} << 17;
  std::uint64_t step = 0;
  for (const std::uint64_t size : sizes) step = std::gcd(step, size);
  step = std::max(step, (total + kMostSteps - 1) / kMostSteps);
  std::vector<std::size_t> steps;
  for (const std::uint64_t size : sizes)
    steps.push_back(static_cast<std::size_t>((size + step - 1) / step));
  return SubsetSums(steps, static_cast<std::size_t>(room / step)).largest();
}

// Of the units before every place about this share of the bytes.
std::vector<bool> keep_share(Sizes sizes, double share) {
  std::vector<bool> kept(sizes.size(), false);
  double owed = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto size = static_cast<double>(sizes[i]);
    owed += share * size;
    kept[i] = owed >= size / 2;
    if (kept[i]) owed -= size;
  }
  return kept;
}

// Keeps what still fits; returns how much is kept.
std::uint64_t fill(Sizes sizes, std::uint64_t room, std::vector<bool>& kept) {
  std::uint64_t sum = sum_of(sizes, kept);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (kept[i] || sum + sizes[i] > room) continue;
    kept[i] = true;
    sum += sizes[i];
  }
  return sum;
}

// As many of each size, evenly spread among those of that size.
std::vector<bool> spread_sizes(Sizes sizes, const std::vector<bool>& kept) {
  struct Kind {
    std::size_t all = 0;
    std::size_t kept = 0;
    std::size_t seen = 0;
  };
  std::map<std::uint64_t, Kind> kinds;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Kind& kind = kinds[sizes[i]];
    ++kind.all;
    kind.kept += kept[i] ? 1 : 0;
  }
  std::vector<bool> spread(sizes.size(), false);
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Kind& kind = kinds[sizes[i]];
    spread[i] = is_spread(kind.seen++, kind.kept, kind.all);
  }
  return spread;
}

}  // namespace

bool is_spread(std::size_t i, std::size_t chosen, std::size_t all) {
  return (i + 1) * chosen / all > i * chosen / all;
}

std::vector<bool> choose_units(Sizes sizes, std::uint64_t room) {
  const std::uint64_t total = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  if (total <= room) return std::vector<bool>(sizes.size(), true);
  const std::size_t fits = most_spread(sizes, room);
  std::vector<bool> best(sizes.size(), false);
  std::uint64_t most = 0;
  const auto consider = [&](std::vector<bool> kept) {
    const std::uint64_t sum = sum_of(sizes, kept);
    if (sum > most) best = std::move(kept);
    most = std::max(most, sum);
  };
  // Where sizes differ, one fewer to begin with may leave less room unused.
  for (std::size_t fewer = 0; fewer <= std::min<std::size_t>(fits, 2); ++fewer)
    consider(spread_and_fill(sizes, room, fits - fewer));
  const bool alike = std::ranges::adjacent_find(sizes, std::not_equal_to{}) == sizes.end();
  if (!alike) consider(spread_sizes(sizes, pack(sizes, room, total)));
  return best;
}

std::vector<bool> spread_bytes(Sizes sizes, std::uint64_t room) {
  const std::uint64_t total = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
  if (total <= room) return std::vector<bool>(sizes.size(), true);
  const double most = static_cast<double>(*std::ranges::max_element(sizes));
  std::vector<bool> best(sizes.size(), false);
  std::uint64_t best_sum = 0;
  // Rounding to whole units keeps up to half a unit too much.
  for (int sixteenths = 0; sixteenths <= 8; ++sixteenths) {
    const double wanted = static_cast<double>(room) - most * sixteenths / 16;
    std::vector<bool> kept = keep_share(sizes, std::max(wanted, 0.0) / static_cast<double>(total));
    const std::uint64_t sum = fill(sizes, room, kept);
    if (sum > room || sum <= best_sum) continue;
    best = std::move(kept);
    best_sum = sum;
  }
  std::vector<bool> packed = choose_units(sizes, room);
  constexpr std::uint64_t kNoticed = 64;  // a share of all
  return sum_of(sizes, packed) > best_sum + total / kNoticed ? packed : best;
}

}  // namespace strata
