#include "tests/parity/device_run.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace strata::test {
namespace {

constexpr std::size_t kGuard = 256;
constexpr std::byte kPattern{0xA5};

// Bytes from a view's first to behind its last.
std::size_t extent_of(const TensorView& view) {
  const TensorDesc desc{view.dtype, view.layout, view.shape};
  if (is_panelled(view.layout)) return byte_size(desc);
  if (view.rows() == 0) return 0;
  const std::size_t row = layout_row_bytes(view.dtype, view.layout, view.columns());
  return static_cast<std::size_t>((view.rows() - 1) * view.row_stride) + row;
}

// A range of host memory and its copy on the device, between guards.
class Mirror {
 public:
  Mirror(Device& device, Stream& stream, std::byte* begin, std::byte* end)
      : begin_(begin), bytes_(static_cast<std::size_t>(end - begin)) {
    before_ = kGuard + reinterpret_cast<std::uintptr_t>(begin) % 64;
    device_ = device.allocate(before_ + bytes_ + kGuard, MemoryKind::device);
    host_.assign(device_.bytes(), kPattern);
    std::memcpy(host_.data() + before_, begin, bytes_);
    stream.copy({device_.data(), device_.bytes(), MemoryKind::device},
                {host_.data(), host_.size(), MemoryKind::host});
  }

  bool holds(const std::byte* data) const { return data >= begin_ && data < begin_ + bytes_; }
  std::byte* address(const std::byte* data) const {
    return device_.data() + before_ + (data - begin_);
  }

  void fetch(Stream& stream) {
    stream.copy({host_.data(), host_.size(), MemoryKind::host},
                {device_.data(), device_.bytes(), MemoryKind::device});
  }
  // After the stream was waited for. False when a guard was written to.
  bool store() const {
    std::memcpy(begin_, host_.data() + before_, bytes_);
    auto intact = [](std::byte b) { return b == kPattern; };
    return std::all_of(host_.begin(), host_.begin() + static_cast<std::ptrdiff_t>(before_),
                       intact) &&
           std::all_of(host_.begin() + static_cast<std::ptrdiff_t>(before_ + bytes_), host_.end(),
                       intact);
  }

 private:
  std::byte* begin_;
  std::size_t bytes_;
  std::size_t before_ = 0;
  Buffer device_;
  std::vector<std::byte> host_;
};

class Mirrors {
 public:
  Mirrors(Device& device, Stream& stream, std::initializer_list<std::span<const TensorView>> all) {
    struct Range {
      std::byte* begin;
      std::byte* end;
    };
    std::vector<Range> ranges;
    for (const auto& views : all)
      for (const TensorView& view : views)
        if (view.data != nullptr && extent_of(view) > 0)
          ranges.push_back({view.data, view.data + extent_of(view)});
    std::sort(ranges.begin(), ranges.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    for (std::size_t i = 0; i < ranges.size();) {
      Range merged = ranges[i++];
      for (; i < ranges.size() && ranges[i].begin < merged.end; ++i)
        merged.end = std::max(merged.end, ranges[i].end);
      mirrors_.emplace_back(device, stream, merged.begin, merged.end);
    }
  }

  std::vector<TensorView> on_device(std::span<const TensorView> views) const {
    std::vector<TensorView> moved(views.begin(), views.end());
    for (TensorView& view : moved)
      for (const Mirror& mirror : mirrors_)
        if (view.data != nullptr && mirror.holds(view.data)) {
          view.data = mirror.address(view.data);
          break;
        }
    return moved;
  }

  void fetch(Stream& stream) {
    for (Mirror& mirror : mirrors_) mirror.fetch(stream);
  }
  bool store() const {
    bool intact = true;
    for (const Mirror& mirror : mirrors_) intact = mirror.store() && intact;
    return intact;
  }

 private:
  std::vector<Mirror> mirrors_;
};

std::byte* aligned(std::byte* data) {
  return data + (64 - reinterpret_cast<std::uintptr_t>(data) % 64) % 64;
}

}  // namespace

void run_prepared(Device& device, const PreparedOp& op, std::span<const TensorView> in,
                  std::span<const TensorView> inout, std::span<const TensorView> out) {
  const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::compute);
  std::vector<std::byte> memory(op.workspace_bytes + 2 * kGuard + 64, kPattern);
  const TensorDesc guarded{
      DType::I8, Layout::rows, {1, static_cast<std::int64_t>(op.workspace_bytes + 2 * kGuard)}};
  const TensorView workspace = dense_view(aligned(memory.data()), guarded);
  const std::string name(op.desc.info().name);
  bool intact = true;
  if (device.info().unified) {
    op.run(*stream, op, {in, inout, out}, {workspace.data + kGuard, op.workspace_bytes});
    stream->synchronize();
  } else {
    Mirrors mirrors(device, *stream, {in, inout, out, {&workspace, 1}});
    const auto in_there = mirrors.on_device(in);
    const auto inout_there = mirrors.on_device(inout);
    const auto out_there = mirrors.on_device(out);
    const TensorView scratch = mirrors.on_device({&workspace, 1})[0];
    op.run(*stream, op, {in_there, inout_there, out_there},
           {scratch.data + kGuard, op.workspace_bytes});
    mirrors.fetch(*stream);
    stream->synchronize();
    intact = mirrors.store();
  }
  if (!intact) throw std::runtime_error(name + " wrote beyond its operands");
  for (std::size_t i = 0; i < kGuard; ++i)
    if (workspace.data[i] != kPattern ||
        workspace.data[kGuard + op.workspace_bytes + i] != kPattern)
      throw std::runtime_error(name + " wrote beyond its workspace");
}

}  // namespace strata::test
