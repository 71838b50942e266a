#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/core/direct_file.h"
#include "runtime/streaming/block_reader.h"
#include "runtime/streaming/reader_retry.h"
#include "runtime/streaming/reader_uring.h"

namespace strata {

/// Reads a model's files by one of the three methods (open_reader).
class FileReader final : public BlockReader {
 public:
  FileReader(std::shared_ptr<const ModelFile> file, ReadMethod method, ReaderOptions options);

  void read(const StreamUnit& unit, std::span<std::byte> slot, std::span<const std::byte*> places,
            std::stop_token stop) override;
  ReaderStats stats() const override;
  void begin_sweep() override;
  void prepare(std::span<const std::span<std::byte>> slots) override;
  ReadMethod method() const override { return method_; }
  std::string note() const override;

 private:
  struct Shard {
    const MappedFile* mapping;
    DirectFile cached;                 // through the page cache
    std::optional<DirectFile> direct;  // past it
  };

  void open_shards(ReaderOptions options);
  void check_same_file(const Shard& shard) const;
  void open_direct(Shard& shard);
  void start_dropping() const;
  void leave_small_tensors() const;
  bool read_queued(const StreamUnit& unit, std::byte* slot, const std::stop_token& stop);
  void read_part(const FileRange& part, std::byte* to, const std::stop_token& stop);
  void read_piece(const Shard& shard, const ReadGoal& goal, std::byte* to);
  bool read_mapped(const Shard& shard, const ReadGoal& goal, std::byte* to);
  void drop(const Shard& shard, const FileRange& part) const;

  std::shared_ptr<const ModelFile> file_;
  ReadMethod method_;
  bool drop_behind_;
  std::vector<Shard> shards_;
  std::unique_ptr<UringReads> uring_;  // null: pread
  std::string note_;
  std::atomic<bool> cannot_populate_{false};
  std::atomic<bool> queue_refused_{false};
  std::atomic<std::uint64_t> units_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> system_bytes_{0};
  std::atomic<std::uint64_t> nanoseconds_{0};
  std::atomic<std::uint64_t> retries_{0};
};

}  // namespace strata
