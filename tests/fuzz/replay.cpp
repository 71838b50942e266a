// Runs a fuzz harness without libFuzzer: over every file of the folders named, and over changes of
// each that are the same in every run. A finding shows as in a fuzzer: by a crash.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr int kChangesPerSeed = 400;

/// Runs the harness on a copy that ends where its allocation ends, so that reading past it is seen.
void run(std::span<const std::uint8_t> bytes) {
  const Bytes copy(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

/// One to four of: a byte set anew, a bit flipped, a 64-bit field set to an edge, the end cut off.
void change(Bytes& bytes, std::mt19937_64& random) {
  constexpr std::uint64_t kEdges[] = {0,          1,          0x7f,       0xff,      0x7fffffff,
                                      0xffffffff, 1ULL << 32, 1ULL << 62, ~0ULL - 7, ~0ULL};
  const std::uint64_t times = 1 + random() % 4;
  for (std::uint64_t i = 0; i < times && !bytes.empty(); ++i) {
    const std::size_t at = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<std::uint8_t>(random());
        break;
      case 1:
        bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << (random() % 8)));
        break;
      case 2: {
        const std::uint64_t edge = kEdges[random() % std::size(kEdges)];
        const std::size_t n = std::min<std::size_t>(8, bytes.size() - at);
        for (std::size_t b = 0; b < n; ++b) {
          bytes[at + b] = static_cast<std::uint8_t>(edge >> (8 * b));
        }
        break;
      }
      default:
        bytes.resize(at);
    }
  }
}

Bytes read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> seeds;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (entry.is_regular_file()) seeds.push_back(entry.path());
    }
  }
  std::sort(seeds.begin(), seeds.end());
  if (seeds.empty()) {
    std::fprintf(stderr, "no seeds: name folders that hold some\n");
    return 1;
  }
  run({});
  std::mt19937_64 random(1);
  for (const std::filesystem::path& path : seeds) {
    const Bytes seed = read(path);
    run(seed);
    for (int i = 0; i < kChangesPerSeed; ++i) {
      Bytes changed = seed;
      change(changed, random);
      run(changed);
    }
  }
  std::printf("%zu seeds, %d changes of each\n", seeds.size(), kChangesPerSeed);
  return 0;
}
