#include "runtime/streaming/reader_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <utility>

#include "runtime/core/error.h"

namespace strata {
namespace {

constexpr std::uint64_t kStep = DirectFile::kAlignment;
constexpr std::uint64_t kSmallTensorBytes = std::uint64_t{1} << 20;
// Between pieces a reader looks whether it shall stop.
constexpr std::uint64_t kPieceBytes = std::uint64_t{4} << 20;

struct PastCache {
  const DirectFile* direct;
  const DirectFile* cached;
};

/// Memory of some kinds cannot be read into past the page cache: it is then read through it.
std::int64_t read_past_cache(const void* context, std::byte* to, std::uint64_t bytes,
                             std::uint64_t offset) {
  const auto& files = *static_cast<const PastCache*>(context);
  const std::int64_t got = files.direct->read_at(to, bytes, offset);
  return got == -EFAULT || got == -EINVAL ? files.cached->read_at(to, bytes, offset) : got;
}

std::int64_t read_descriptor(const void* context, std::byte* to, std::uint64_t bytes,
                             std::uint64_t offset) {
  return static_cast<const DirectFile*>(context)->read_at(to, bytes, offset);
}

/// Copies from the mapping what the file has of the range now. The pages are brought in first: a
/// page that cannot come is then an error of this call and not a signal at the first touch.
std::int64_t copy_mapped(const MappedFile& mapping, int descriptor, std::byte* to,
                         std::uint64_t bytes, std::uint64_t offset) {
  int error = mapping.try_populate(offset, bytes);
  if (error == 0) std::memcpy(to, mapping.bytes().data() + offset, bytes);
  // The page may have gone since it was brought in.
  const auto lost = mapping.lost_from();
  if (lost && *lost < offset + bytes) error = EFAULT;
  // Asked after copying: the last page of a file that was cut short reads as zeros.
  const auto now = identity_of(descriptor);
  if (!now) return -EIO;
  if (now->size >= offset + bytes) return error == 0 ? static_cast<std::int64_t>(bytes) : -error;
  if (now->size <= offset) return 0;
  return copy_mapped(mapping, descriptor, to, now->size - offset, offset);
}

struct MappedSource {
  const MappedFile* mapping;
  int descriptor;
};

std::int64_t read_mapping(const void* context, std::byte* to, std::uint64_t bytes,
                          std::uint64_t offset) {
  const auto& source = *static_cast<const MappedSource*>(context);
  const std::int64_t got = copy_mapped(*source.mapping, source.descriptor, to, bytes, offset);
  return got == -EFAULT ? -EIO : got;
}

}  // namespace

FileReader::FileReader(std::shared_ptr<const ModelFile> file, ReadMethod method,
                       ReaderOptions options)
    : file_(std::move(file)), method_(method), drop_behind_(options.drop_behind) {
  // Pages of a mapping come in large groups, which the cache drops only whole.
  if (drop_behind_ && method_ == ReadMethod::mapped) {
    method_ = ReadMethod::buffered;
    note_ = fmt::format("{}: what is read is dropped from the page cache: it is not mapped",
                        file_->path().string());
  }
  open_shards(options);
  if (method_ != ReadMethod::mapped) leave_small_tensors();
}

/// Norms and biases are used in the mapping and lie between the matrices that stream. Where memory
/// is short their pages go and come again, each time with megabytes of matrices around them: at
/// half of the model's size that was 1.9 times the bytes of the plan.
void FileReader::leave_small_tensors() const {
  for (const TensorInfo& tensor : file_->tensors())
    if (tensor.bytes <= kSmallTensorBytes)
      file_->shards()[tensor.shard].expect_random(tensor.offset, tensor.bytes);
}

void FileReader::open_shards(ReaderOptions options) {
  for (const MappedFile& mapping : file_->shards()) {
    Shard shard{&mapping, DirectFile::open(mapping.path()), std::nullopt};
    check_same_file(shard);
    if (method_ == ReadMethod::direct) open_direct(shard);
    shards_.push_back(std::move(shard));
  }
  if (drop_behind_) start_dropping();
  if (method_ != ReadMethod::direct || !options.io_uring) return;
  std::string refusal;
  uring_ = UringReads::open(refusal);
  if (!uring_)
    note_ = fmt::format("{}: {}; its reads past the page cache are made one by one in each thread",
                        file_->path().string(), refusal);
}

// The cache may hold pages in large groups and drops only whole ones: what others left there goes
// now, and what is read comes in single pages, so that each unit's are dropped with it and not
// those of its neighbours.
void FileReader::start_dropping() const {
  for (const Shard& shard : shards_) {
    shard.cached.drop_cache(0, shard.mapping->bytes().size());
    shard.cached.read_nothing_ahead();
  }
}

void FileReader::open_direct(Shard& shard) {
  std::string refusal;
  shard.direct = DirectFile::open_direct(shard.mapping->path(), refusal);
  if (shard.direct) return;
  method_ = ReadMethod::buffered;
  drop_behind_ = true;
  note_ = fmt::format(
      "{}: reads past the page cache are refused ({}); it is read through the cache, and the pages "
      "are dropped again",
      shard.mapping->path().string(), refusal);
}

void FileReader::prepare(std::span<const std::span<std::byte>> slots) {
  if (uring_) uring_->set_slots(slots);
}

void FileReader::check_same_file(const Shard& shard) const {
  if (!shard.mapping->is_mapping()) return;
  const FileIdentity& before = shard.mapping->identity();
  const std::filesystem::path& path = shard.mapping->path();
  const char* hint = "restart with the file as it is now";
  const auto now = identity_of(shard.cached.descriptor());
  if (now && now->size != before.size)
    throw Error(
        ErrorCode::io, path.string(),
        fmt::format("had {} bytes when it was opened, and has {} now", before.size, now->size),
        hint);
  if (now && now->inode == before.inode && now->modified_ns != before.modified_ns)
    throw Error(ErrorCode::io, path.string(), "was written to while in use", hint);
  // A file that was only removed is whole for those who have it open.
  const auto named = identity_of(path);
  if (named && (named->inode != before.inode || named->device != before.device))
    throw Error(ErrorCode::io, path.string(), "was replaced by another file while in use", hint);
}

void FileReader::begin_sweep() {
  for (const Shard& shard : shards_) check_same_file(shard);
}

void FileReader::read(const StreamUnit& unit, std::span<std::byte> slot,
                      std::span<const std::byte*> places, std::stop_token stop) {
  const auto begin = std::chrono::steady_clock::now();
  if (slot.size() < slot_bytes(unit) || places.size() != unit.parts.size())
    throw Error(ErrorCode::runtime, file_->path().string(),
                fmt::format("a unit of {} parts needs a slot of {} bytes; {} places and {} bytes "
                            "are given",
                            unit.parts.size(), slot_bytes(unit), places.size(), slot.size()));
  const bool done = uring_ && read_queued(unit, slot.data(), stop);
  std::byte* to = slot.data();
  for (std::size_t i = 0; i < unit.parts.size(); ++i) {
    const FileRange& part = unit.parts[i];
    if (!done) read_part(part, to, stop);
    if (drop_behind_) drop(shards_[part.shard], part);
    places[i] = to + part.offset % kStep;
    to += slot_bytes(part);
  }
  units_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(unit.bytes(), std::memory_order_relaxed);
  const auto spent = std::chrono::steady_clock::now() - begin;
  nanoseconds_.fetch_add(static_cast<std::uint64_t>(
                             std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()),
                         std::memory_order_relaxed);
}

/// All pieces of all parts with many requests under way. False when the queue is refused.
bool FileReader::read_queued(const StreamUnit& unit, std::byte* slot, const std::stop_token& stop) {
  std::size_t part = 0;
  std::uint64_t done = 0;  // of the part, from its aligned begin
  std::byte* base = slot;
  const auto next = [&](ReadPiece& piece) {
    while (part < unit.parts.size() && done >= slot_bytes(unit.parts[part])) {
      base += slot_bytes(unit.parts[part++]);
      done = 0;
    }
    if (part == unit.parts.size()) return false;
    const FileRange& range = unit.parts[part];
    const Shard& shard = shards_.at(range.shard);
    const std::uint64_t begin = range.offset / kStep * kStep + done;
    const std::uint64_t bytes = std::min(UringReads::kPieceBytes, slot_bytes(range) - done);
    const std::uint64_t needed = std::min(begin + bytes, range.offset + range.bytes) - begin;
    piece = {range.shard, shard.direct->descriptor(), {begin, bytes, needed}, base + done};
    done += bytes;
    system_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return true;
  };
  const auto again = [&](const ReadPiece& piece) {
    retries_.fetch_add(1, std::memory_order_relaxed);
    read_piece(shards_[piece.shard], piece.goal, piece.to);
  };
  // By reference: a std::function would allocate for a copy of what these have captured.
  if (uring_->read(std::ref(next), std::ref(again), stop)) return true;
  queue_refused_.store(true, std::memory_order_relaxed);
  return false;
}

/// `to` is where the file's byte offset / kStep * kStep belongs, whatever the method.
void FileReader::read_part(const FileRange& part, std::byte* to, const std::stop_token& stop) {
  const Shard& shard = shards_.at(part.shard);
  const std::uint64_t end = part.offset + part.bytes;
  const std::uint64_t base = part.offset / kStep * kStep;
  for (std::uint64_t at = base; at < end && !stop.stop_requested(); at += kPieceBytes) {
    const std::uint64_t last = std::min(at + kPieceBytes, end);
    if (method_ == ReadMethod::direct) {
      const std::uint64_t bytes = (last - at + kStep - 1) / kStep * kStep;
      read_piece(shard, {at, bytes, last - at}, to + (at - base));
    } else {
      const std::uint64_t first = std::max(at, part.offset);
      read_piece(shard, {first, last - first, last - first}, to + (first - base));
    }
  }
}

void FileReader::read_piece(const Shard& shard, const ReadGoal& goal, std::byte* to) {
  if (!shard.mapping->is_mapping()) {
    std::memcpy(to, shard.mapping->bytes().data() + goal.offset, goal.needed);
    return;
  }
  system_bytes_.fetch_add(goal.bytes, std::memory_order_relaxed);
  if (method_ == ReadMethod::mapped && read_mapped(shard, goal, to)) return;
  ReadSource source{.attempt = read_descriptor,
                    .context = &shard.cached,
                    .path = &shard.mapping->path(),
                    .descriptor = shard.cached.descriptor()};
  const PastCache files{shard.direct ? &*shard.direct : nullptr, &shard.cached};
  if (method_ == ReadMethod::direct) {
    source.attempt = read_past_cache;
    source.context = &files;
    source.step = kStep;
  }
  read_carefully(source, goal, to, retries_);
}

/// False where the system cannot populate a mapping: the caller reads then.
bool FileReader::read_mapped(const Shard& shard, const ReadGoal& goal, std::byte* to) {
  if (cannot_populate_.load(std::memory_order_relaxed)) return false;
  const MappedSource source{shard.mapping, shard.cached.descriptor()};
  if (shard.mapping->try_populate(goal.offset, kStep) == EINVAL) {
    cannot_populate_.store(true, std::memory_order_relaxed);
    return false;
  }
  read_carefully({.attempt = read_mapping,
                  .context = &source,
                  .path = &shard.mapping->path(),
                  .descriptor = source.descriptor},
                 goal, to, retries_);
  return true;
}

void FileReader::drop(const Shard& shard, const FileRange& part) const {
  if (!shard.mapping->is_mapping()) return;
  // Both, in this order: the cache keeps pages that are mapped.
  shard.mapping->dont_need(part.offset, part.bytes);
  shard.cached.drop_cache(part.offset, part.bytes);
}

ReaderStats FileReader::stats() const {
  return {.units = units_.load(),
          .bytes = bytes_.load(),
          .system_bytes = system_bytes_.load(),
          .seconds = static_cast<double>(nanoseconds_.load()) * 1e-9,
          .retries = retries_.load()};
}

std::string FileReader::note() const {
  if (cannot_populate_.load())
    return fmt::format("{}: this system cannot populate a mapping: it is read instead",
                       file_->path().string());
  if (queue_refused_.load())
    return fmt::format("{}: io_uring was refused to a thread, which reads piece by piece",
                       file_->path().string());
  return note_;
}

}  // namespace strata
