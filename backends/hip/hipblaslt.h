#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "runtime/core/shared_library.h"

// Of hipBLASLt what is used here, by its own numbers and types: neither its header nor HIP's nor
// the library is needed to build. They are those of ROCm 6 and 7. ROCm 5's library, which numbered
// its types otherwise, refuses them, and is not used then.
namespace strata::hip::hipblaslt {

using Status = int;
inline constexpr Status kDone = 0;
inline constexpr Status kAllocationFailed = 2;
using Handle = void*;
using Operation = void*;   // hipblasLtMatmulDesc_t
using Layout = void*;      // hipblasLtMatrixLayout_t
using Preference = void*;  // hipblasLtMatmulPreference_t
using HipStream = void*;   // hipStream_t
enum DataType : int { kF32 = 0, kBf16 = 14 };
enum ComputeType : int { kComputeF32 = 2 };
enum OperationAttribute : int { kTransposeFirst = 0 };
enum PreferenceAttribute : int { kMostWorkspace = 1 };
inline constexpr std::int32_t kTransposed = 112;

/// One of the library's ways to multiply.
struct Algorithm {
  std::uint8_t data[16];
  std::size_t most_workspace;
};
/// What its heuristic says of a way.
struct Found {
  Algorithm algorithm;
  std::size_t workspace;
  Status state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Algorithm) == 24 && sizeof(Found) == 56);

using Create = Status(Handle*);
using CreateOperation = Status(Operation*, ComputeType, DataType scale);
using SetOperation = Status(Operation, OperationAttribute, const void*, std::size_t);
using CreateLayout = Status(Layout*, DataType, std::uint64_t rows, std::uint64_t columns,
                            std::int64_t step);
using DestroyLayout = Status(Layout);
using CreatePreference = Status(Preference*);
using SetPreference = Status(Preference, PreferenceAttribute, const void*, std::size_t);
using Heuristic = Status(Handle, Operation, Layout a, Layout b, Layout c, Layout d, Preference,
                         int wanted, Found*, int* found);
/// Whether an algorithm takes matrices like these, and the workspace that it needs for them:
/// hipblaslt_ext::matmulIsAlgoSupported, which has no name in C.
using Supports = Status(Handle, Operation, const void* alpha, Layout a, Layout b, const void* beta,
                        Layout c, Layout d, Algorithm&, std::size_t& workspace);
/// d = alpha * a * b + beta * c, all in column order.
using Matmul = Status(Handle, Operation, const void* alpha, const void* a, Layout, const void* b,
                      Layout, const void* beta, const void* c, Layout, void* d, Layout,
                      const Algorithm*, void* workspace, std::size_t workspace_bytes, HipStream);

/// out (rows, n) f32 = x (rows, k) bf16 * w (n, k)^T bf16 + add (rows, n) f32; `add` may be null or
/// `out`. Steps are elements from row to row.
struct Product {
  std::int64_t rows = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  const void* x = nullptr;
  std::int64_t x_step = 0;
  const void* w = nullptr;
  std::int64_t w_step = 0;
  const void* add = nullptr;
  std::int64_t add_step = 0;
  void* out = nullptr;
  std::int64_t out_step = 0;
};

/// The library on one device, for as long as the process lives. Thread-safe: what it remembers of
/// an operation is not, so calls are made one at a time.
class Library {
 public:
  explicit Library(const SharedLibrary& file);
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /// On the device that is current to HIP; false where the library is incomplete or refuses.
  bool open();
  /// At most `most` ways for products like this one, the most promising first, of those that need
  /// no workspace: parts of a sum would lie there, and how many, the sizes say.
  std::vector<Algorithm> algorithms(const Product& like, int most);
  /// Whether the way takes a product of these sizes, again without workspace.
  bool takes(const Algorithm& algorithm, const Product& product);
  /// Enqueues the product.
  Status multiply(HipStream stream, const Algorithm& algorithm, const Product& product);

 private:
  class Layouts;
  bool complete() const;

  Create* create_;
  CreateOperation* create_operation_;
  SetOperation* set_operation_;
  CreateLayout* create_layout_;
  DestroyLayout* destroy_layout_;
  CreatePreference* create_preference_;
  SetPreference* set_preference_;
  Heuristic* heuristic_;
  Supports* supports_;
  Matmul* matmul_;
  Handle handle_ = nullptr;
  Operation operation_ = nullptr;
  Preference preference_ = nullptr;
  std::mutex mutex_;
};

}  // namespace strata::hip::hipblaslt
