#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "runtime/streaming/file_range.h"
#include "runtime/streaming/read_timeline.h"
#include "runtime/weights/model_file.h"

namespace strata {

/// How bytes come from the file into a slot.
enum class ReadMethod : std::uint8_t {
  mapped,    ///< the mapping's pages are brought in (MADV_POPULATE_READ), then copied
  buffered,  ///< pread through the page cache
  direct,    ///< past the page cache: O_DIRECT, with io_uring and registered slots where it can
};
std::string_view method_name(ReadMethod method);

/// What reading has cost so far, in all threads together; the link "disk".
struct ReaderStats {
  std::uint64_t units = 0;
  std::uint64_t bytes = 0;         ///< of the parts that were wanted
  std::uint64_t system_bytes = 0;  ///< asked of the system: with the slack of aligned reads
  double seconds = 0;              ///< inside read(), summed over the threads
  std::uint64_t retries = 0;       ///< reads that were tried again after an error
};

/// Reads units of a model file into staging slots. The seam at which tests inject faults: they wrap
/// a reader, or play one.
class BlockReader {
 public:
  virtual ~BlockReader() = default;

  /// Reads the unit's parts into `slot` (aligned to 4 KiB, at least slot_bytes(unit) long) and sets
  /// places[i] to the first byte of part i (places.size() == parts.size()), which has the file
  /// offset's remainder modulo 4 KiB. Safe from several threads, each with a slot of its own.
  /// Throws Error(io) with the file, the offset and the numbers. Once `stop` is requested it
  /// returns as soon as it can, with nothing of use in the slot.
  virtual void read(const StreamUnit& unit, std::span<std::byte> slot,
                    std::span<const std::byte*> places, std::stop_token stop = {}) = 0;
  virtual ReaderStats stats() const = 0;

  /// Called when a sweep begins, by the thread that reads its first unit. Throws Error(io) when a
  /// file is no longer the one that was opened: other size, other time of change, another file of
  /// its name.
  virtual void begin_sweep() {}
  /// Says which slots reads will go to, so that they can be registered with the system; called
  /// while nothing is read. Reads into other memory go on working.
  virtual void prepare(std::span<const std::span<std::byte>> /*slots*/) {}
  /// How this reader reads: after falling back not always what was asked for.
  virtual ReadMethod method() const { return ReadMethod::buffered; }
  /// What was asked for and not granted, and what is done instead; empty when all is well.
  virtual std::string note() const { return {}; }

  /// Whose time a ring of this reader's units keeps; null: real time.
  virtual ReadTimeline* timeline() { return nullptr; }

  /// Bytes a slot needs for this unit, whatever the method: every part has slack for reads that
  /// begin and end at multiples of 4 KiB. A multiple of 4 KiB.
  static std::uint64_t slot_bytes(const StreamUnit& unit);
  /// The same for one part; parts lie one after the other.
  static std::uint64_t slot_bytes(const FileRange& part);
};

struct ReaderOptions {
  /// Take what was read out of the page cache again: for files that are larger than memory, whose
  /// pages would be evicted just before they are needed.
  bool drop_behind = false;
  /// Whether the direct method may use io_uring.
  bool io_uring = true;
};

/// A reader of `file`, which it keeps open. Falls back, and says so in note(): direct to buffered
/// with drop_behind where O_DIRECT is refused, io_uring to pread, mapped to pread where the system
/// cannot populate a mapping, mapped to buffered with drop_behind. Throws Error(io) when a file
/// cannot be opened or is not the one that was mapped.
std::unique_ptr<BlockReader> open_reader(std::shared_ptr<const ModelFile> file, ReadMethod method,
                                         ReaderOptions options = {});

}  // namespace strata
