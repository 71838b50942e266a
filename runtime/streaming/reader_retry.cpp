#include "runtime/streaming/reader_retry.h"

#include <fmt/format.h>

#include <system_error>

#include "runtime/core/direct_file.h"
#include "runtime/core/error.h"

namespace strata {
namespace {

constexpr int kRetries = 3;
constexpr std::uint64_t kBadBlock = 4096;

/// Offset of the first block in [offset, offset + bytes) that cannot be read; `to` is overwritten.
std::uint64_t first_bad_block(const ReadSource& source, std::byte* to, std::uint64_t offset,
                              std::uint64_t bytes) {
  while (bytes > kBadBlock) {
    const std::uint64_t half = (bytes / 2 + kBadBlock - 1) / kBadBlock * kBadBlock;
    const bool good =
        source.attempt(source.context, to, half, offset) == static_cast<std::int64_t>(half);
    if (good) offset += half;
    bytes = good ? bytes - half : half;
  }
  return offset;
}

[[noreturn]] void fail_short(const ReadSource& source, std::uint64_t end) {
  const auto now = identity_of(source.descriptor);
  throw Error(ErrorCode::io, source.path->string(),
              now ? fmt::format("ends at byte {}, and bytes up to {} are needed: it was cut short "
                                "while in use",
                                now->size, end)
                  : fmt::format("ends before byte {}: it was cut short while in use", end),
              "put the whole file back and start again");
}

[[noreturn]] void fail_read(const ReadSource& source, std::byte* to, std::uint64_t offset,
                            std::uint64_t bytes, int error) {
  const std::uint64_t bad = first_bad_block(source, to, offset, bytes);
  throw Error(
      ErrorCode::io, source.path->string(),
      fmt::format("cannot read {} bytes at offset {}: {}; {} retries did not help, and the "
                  "first block of {} bytes that fails is at offset {}",
                  bytes, offset, std::system_category().message(error), kRetries, kBadBlock, bad),
      "the disk or its connection fails: see the system's log, and copy the file again");
}

}  // namespace

void read_carefully(const ReadSource& source, const ReadGoal& goal, std::byte* to,
                    std::atomic<std::uint64_t>& retries) {
  std::uint64_t done = 0;
  int failures = 0;
  while (done < goal.needed) {
    const std::int64_t got =
        source.attempt(source.context, to + done, goal.bytes - done, goal.offset + done);
    std::uint64_t more = got > 0 ? static_cast<std::uint64_t>(got) : 0;
    if (done + more < goal.needed) more = more / source.step * source.step;
    done += more;
    if (more > 0) {
      failures = 0;
    } else if (failures++ < kRetries) {
      retries.fetch_add(1, std::memory_order_relaxed);
    } else if (got < 0) {
      fail_read(source, to + done, goal.offset + done, goal.bytes - done, static_cast<int>(-got));
    } else {
      fail_short(source, goal.offset + goal.needed);
    }
  }
}

}  // namespace strata
