// A model larger than memory, in earnest: in a control group of a half and of a third of its size a
// sweep reads from the disk what the placement streams, and nothing more.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "backends/registry.h"
#include "runtime/engine/runner.h"
#include "runtime/models/synthetic.h"
#include "tests/streaming/memory_group.h"
#include "tests/weights/temp_folder.h"

namespace strata {
namespace {

constexpr std::int32_t kLayers = 10;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
// What is not weights: the program, the staging ring, activations.
constexpr std::uint64_t kBeside = 34 * kMiB;
constexpr int kSweeps = 4;

/// 10 layers of 17 MiB and a small vocabulary, on the disk and not in the page cache.
class BigModel {
 public:
  BigModel() : path_(folder_.path() / "big.gguf") {
    const SyntheticShape shape{"big", "llama", "big",    kLayers, 1024,  4096,  16, 16, 64,
                               512,   512,     10000.0F, 1e-5F,   false, false, 0,  0,  0};
    SyntheticOptions options;
    options.type = DType::Q8_0;
    options.output_type = DType::Q8_0;
    const SyntheticModel model = plan_synthetic(shape, options);
    OutputFile file(path_, model.layout.file_bytes(), false);
    write_synthetic(model, file, 2, [](std::uint64_t, std::uint64_t) {});
    file.commit();
    bytes_ = std::filesystem::file_size(path_);
  }

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }
  /// Whether it is on a disk, whose reads the system counts.
  bool on_disk() const {
    struct statfs status{};
    return ::statfs(path_.c_str(), &status) == 0 && status.f_type != TMPFS_MAGIC;
  }
  void forget() const {
    const int descriptor = ::open(path_.c_str(), O_RDONLY);
    ::fsync(descriptor);
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    ::close(descriptor);
  }

 private:
  test::TempFolder folder_;
  std::filesystem::path path_;
  std::uint64_t bytes_ = 0;
};

/// Bytes that this process has had read from a disk.
std::uint64_t disk_bytes() {
  std::ifstream in("/proc/self/io");
  std::string key;
  std::uint64_t value = 0;
  while (in >> key >> value)
    if (key == "read_bytes:") return value;
  return 0;
}

/// Bytes of a range of the file that are in the page cache.
std::uint64_t cached_bytes(const MappedFile& file, std::uint64_t offset, std::uint64_t bytes) {
  constexpr std::uint64_t kPage = 4096;
  const std::uint64_t begin = offset / kPage * kPage;
  std::vector<unsigned char> pages((offset + bytes - begin + kPage - 1) / kPage);
  // mincore does not write to what it is asked about.
  if (::mincore(const_cast<std::byte*>(file.bytes().data() + begin), offset + bytes - begin,
                pages.data()) != 0)
    return 0;
  return kPage * static_cast<std::uint64_t>(std::ranges::count_if(
                     pages, [](unsigned char page) { return (page & 1) != 0; }));
}

struct Measured {
  bool done = false;
  std::uint64_t planned = 0;  ///< bytes of the matrices that stream
  std::uint64_t cached = 0;   ///< of those, in the page cache in the end
  std::uint64_t read = 0;     ///< from the disk, per sweep
  double seconds = 0;         ///< per sweep
};

/// Whether it is a matrix of a layer from `resident` on.
bool streams(const TensorInfo& tensor, std::int32_t resident) {
  constexpr std::string_view kLayer = "blk.";
  return tensor.name.starts_with(kLayer) && tensor.ne[1] > 1 &&
         std::stoi(std::string(tensor.name.substr(kLayer.size()))) >= resident;
}

/// Waits until the readers have filled the ring, so that two moments can be compared.
void settle(const Runner& runner) {
  for (std::uint64_t before = ~std::uint64_t{0}; before != runner.stream_stats().bytes_read;) {
    before = runner.stream_stats().bytes_read;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

/// Runs tokens with `resident` layers in memory and the others streamed; without a value everything
/// is used in the mapping, as the system sees fit.
Measured run_tokens(const std::filesystem::path& path, std::optional<std::int32_t> resident,
                    ReadMethod method) {
  const auto device = open_device("cpu", {2});
  const auto model = Model::load(ModelFile::open(path));
  PlacedPart part{device.get(), 0, kLayers, {}};
  RunnerOptions options;
  options.programs.kv = {DType::F16, DType::F16, 64};
  options.programs.max_tokens = 1;
  options.context = 64;
  Measured measured;
  if (resident) {
    options.stream = {.unit_bytes = 4 * kMiB, .ring_slots = 3, .method = method};
    for (std::int32_t layer = 0; layer <= kLayers; ++layer) {
      const bool stays = layer < *resident || layer == kLayers;
      part.tiers.push_back(stays ? Tier::device : Tier::streamed);
    }
    for (const TensorInfo& tensor : model->file().tensors())
      if (streams(tensor, *resident)) measured.planned += tensor.bytes;
  } else {
    options.programs.pack_weights = false;
  }
  Runner runner(model, {part}, options);
  const std::int32_t slot = runner.pool().open();
  runner.pool().extend(slot, 2 + kSweeps);
  const auto step = [&](std::int32_t position) {
    const BatchToken token{
        .token = 7, .sequence = slot, .position = position, .wants_logits = true};
    runner.step({&token, 1}, [](std::size_t, std::span<const float>) {});
  };
  step(0);
  step(1);
  if (resident) settle(runner);
  const std::uint64_t before = disk_bytes();
  const auto begin = std::chrono::steady_clock::now();
  for (std::int32_t i = 0; i < kSweeps; ++i) step(2 + i);
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  if (resident) settle(runner);
  measured.read = (disk_bytes() - before) / kSweeps;
  measured.seconds = spent.count() / kSweeps;
  for (const TensorInfo& tensor : model->file().tensors())
    if (resident && streams(tensor, *resident))
      measured.cached +=
          cached_bytes(model->file().shards()[tensor.shard], tensor.offset, tensor.bytes);
  measured.done = true;
  return measured;
}

/// The same in a process of its own, in the group. Not done: it failed or was killed.
Measured run_in_group(const BigModel& model, const test::MemoryGroup& group,
                      std::optional<std::int32_t> resident,
                      ReadMethod method = ReadMethod::direct) {
  model.forget();
  int pipe_ends[2];
  if (::pipe(pipe_ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    Measured measured;
    try {
      if (group.enter()) measured = run_tokens(model.path(), resident, method);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "in the group: %s\n", error.what());
    }
    const bool told = ::write(pipe_ends[1], &measured, sizeof(measured)) == sizeof(measured);
    ::_exit(told ? 0 : 1);
  }
  ::close(pipe_ends[1]);
  Measured measured;
  if (::read(pipe_ends[0], &measured, sizeof(measured)) != sizeof(measured)) measured = {};
  ::close(pipe_ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
  return measured;
}

TEST(BeyondMemory, ASweepReadsWhatThePlacementStreamsAndNoMore) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory would be most of the group's";
#endif
  const BigModel model;
  if (!model.on_disk()) GTEST_SKIP() << "the folder for temporary files is in memory";
  for (const std::uint64_t part : {2, 3}) {
    const std::uint64_t limit = model.bytes() / part;
    const test::MemoryGroup group(limit);
    if (!group.refusal().empty()) GTEST_SKIP() << "no memory limit: " << group.refusal();
    const std::uint64_t layer = model.bytes() / kLayers;
    const auto resident = static_cast<std::int32_t>((limit - kBeside) / layer);
    const Measured plain = run_in_group(model, group, std::nullopt);
    const Measured ours = run_in_group(model, group, resident);
    ASSERT_TRUE(ours.done && plain.done);
    std::printf(
        "memory 1/%d of %.0f MB: streamed %.1f MB, read %.1f MB in %.3f s per sweep; "
        "mapping alone: read %.1f MB in %.3f s\n",
        static_cast<int>(part), static_cast<double>(model.bytes()) * 1e-6,
        static_cast<double>(ours.planned) * 1e-6, static_cast<double>(ours.read) * 1e-6,
        ours.seconds, static_cast<double>(plain.read) * 1e-6, plain.seconds);
    if (ours.read == 0) GTEST_SKIP() << "this system does not count what is read from disks";
    EXPECT_GT(resident, 0);
    EXPECT_NEAR(static_cast<double>(ours.read), static_cast<double>(ours.planned),
                0.01 * static_cast<double>(ours.planned));
  }
}

// Where reads must go through the page cache nothing of them stays there: it would be gone before
// it is used again, and with it what others have there.
TEST(BeyondMemory, ReadsThroughThePageCacheLeaveNothingInIt) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory would be most of the group's";
#endif
  const BigModel model;
  if (!model.on_disk()) GTEST_SKIP() << "the folder for temporary files is in memory";
  const std::uint64_t limit = model.bytes() / 2;
  const test::MemoryGroup group(limit);
  if (!group.refusal().empty()) GTEST_SKIP() << "no memory limit: " << group.refusal();
  const Measured ours = run_in_group(model, group, 1, ReadMethod::buffered);
  ASSERT_TRUE(ours.done);
  std::printf("through the cache: streamed %.1f MB, read %.1f MB, %.1f MB of them stay there\n",
              static_cast<double>(ours.planned) * 1e-6, static_cast<double>(ours.read) * 1e-6,
              static_cast<double>(ours.cached) * 1e-6);
  if (ours.read > 0) {
    EXPECT_NEAR(static_cast<double>(ours.read), static_cast<double>(ours.planned),
                0.01 * static_cast<double>(ours.planned));
  }
  // The units that were read last may not have been dropped yet.
  EXPECT_LE(ours.cached, 8 * kMiB);
}

}  // namespace
}  // namespace strata
