#include "runtime/engine/weight_loader.h"

#include <algorithm>

#include "runtime/graph/passes.h"

namespace strata {
namespace {

// A piece is about a 24th of all, so that the pages in use on top of the weights are as few; it is
// still much larger than what waking the threads costs.
constexpr std::uint64_t kPieces = 24;
constexpr std::uint64_t kLeastPiece = std::uint64_t{8} << 20;
constexpr std::uint64_t kMostPiece = std::uint64_t{256} << 20;
// What the disk is asked for beyond the piece that is worked on.
constexpr std::uint64_t kReadAhead = std::uint64_t{64} << 20;

// Entries [first, first + count) of a weight along its outermost dimension.
struct Piece {
  const WeightLoad* load;
  std::int64_t first;
  std::int64_t count;

  TensorDesc desc(Layout layout, std::int64_t entries) const {
    TensorDesc part = load->origin.desc;
    part.layout = layout;
    part.shape[0] = entries;
    return part;
  }
  std::span<const std::byte> source() const {
    if (load->origin.in_pieces()) return load->origin.matrices[static_cast<std::size_t>(first)];
    return load->origin.data.subspan(byte_size(desc(Layout::rows, first)),
                                     byte_size(desc(Layout::rows, count)));
  }
  // Whole panels and whole matrices, so that what lies before is as long as it is on its own.
  std::byte* to() const { return load->to + byte_size(desc(load->layout, first)); }
};

void cut(const WeightLoad& load, std::uint64_t piece_bytes, std::vector<Piece>& pieces) {
  const Shape& shape = load.origin.desc.shape;
  const std::int64_t all = shape[0];
  if (all == 0) return;
  const std::int64_t unit = shape.rank == 2 ? kPanelRows : 1;
  const auto entry_bytes = static_cast<std::int64_t>(load.origin.bytes()) / all;
  std::int64_t count =
      static_cast<std::int64_t>(piece_bytes) / std::max<std::int64_t>(1, entry_bytes);
  count = shape.rank == 1 ? all : std::max(count / unit * unit, unit);
  if (load.origin.in_pieces()) count = 1;
  for (std::int64_t first = 0; first < all; first += count)
    pieces.push_back({&load, first, std::min(count, all - first)});
}

class Loader {
 public:
  Loader(Device& device, Stream& stream, BufferSpan scratch)
      : device_(device), stream_(stream), scratch_(scratch) {}

  void run(const Piece& piece) {
    if (piece.load->layout == Layout::rows)
      copy({piece.to(), piece.source().size(), MemoryKind::device}, piece.source());
    else
      pack(piece);
    stream_.synchronize();  // before the file's pages go, and what is staged
  }

 private:
  void copy(BufferSpan to, std::span<const std::byte> source) {
    // Copies do not write to their source: the cast only fits the one span type.
    auto* from = const_cast<std::byte*>(source.data());
    stream_.copy(to, {from, source.size(), MemoryKind::host});
  }

  void pack(const Piece& piece) {
    const TensorDesc from = piece.desc(Layout::rows, piece.count);
    const TensorDesc to = piece.desc(piece.load->layout, piece.count);
    const PreparedOp op = prepare_op(device_, {Pack{}, {from}, {}, {to}});
    reserve(workspace_, op.workspace_bytes);
    const Buffer staged = stage(piece.source());
    const TensorView in = dense_view(staged.data(), from);
    const TensorView out = dense_view(piece.to(), to);
    op.run(stream_, op, {{&in, 1}, {}, {&out, 1}}, {workspace_.data(), op.workspace_bytes});
    stream_.synchronize();  // before an import of the pages ends
  }

  // The file's bytes where the device's ops can read them: its own pages, or a copy on the device.
  Buffer stage(std::span<const std::byte> source) {
    if (std::optional<Buffer> imported = device_.import_host(source)) return std::move(*imported);
    std::byte* to = scratch_.data;
    if (source.size() > scratch_.bytes) {
      reserve(staging_, source.size());
      to = staging_.data();
    }
    copy({to, source.size(), MemoryKind::device}, source);
    return {to, source.size(), MemoryKind::device, nullptr, nullptr};
  }

  void reserve(Buffer& buffer, std::size_t bytes) {
    if (bytes > buffer.bytes()) buffer = device_.allocate(bytes, MemoryKind::device);
  }

  Device& device_;
  Stream& stream_;
  BufferSpan scratch_;
  Buffer staging_;
  Buffer workspace_;
};

std::vector<Piece> pieces_of(std::span<const WeightLoad> loads, std::uint64_t total,
                             std::uint64_t most) {
  const std::uint64_t bytes = std::min(std::clamp(total / kPieces, kLeastPiece, kMostPiece), most);
  std::vector<Piece> pieces;
  for (const WeightLoad& load : loads) cut(load, bytes, pieces);
  // The file's order: tensors lie in their mapping in it.
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return std::less<>()(a.source().data(), b.source().data());
  });
  return pieces;
}

}  // namespace

void load_weights(std::span<const WeightLoad> loads, const ModelFile& file, Device& device,
                  Stream& stream, BufferSpan scratch, const LoadProgress& progress) {
  std::uint64_t total = 0;
  for (const WeightLoad& load : loads) total += load.origin.bytes();
  const std::uint64_t most = device.info().unified ? kMostPiece : scratch.bytes;
  const std::vector<Piece> pieces = pieces_of(loads, total, most);
  Loader loader(device, stream, scratch);
  std::size_t asked = 0;
  std::uint64_t asked_bytes = 0;
  std::uint64_t done = 0;
  for (const Piece& piece : pieces) {
    const std::uint64_t ahead = done + piece.source().size() + kReadAhead;
    for (; asked < pieces.size() && asked_bytes < ahead; ++asked) {
      file.will_need(pieces[asked].source());
      asked_bytes += pieces[asked].source().size();
    }
    loader.run(piece);
    file.dont_need(piece.source());
    done += piece.source().size();
    if (progress) progress(done, total);
  }
}

}  // namespace strata
