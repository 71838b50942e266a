#include "backends/hip/hipblaslt.h"

#include <algorithm>
#include <initializer_list>

// The library's matrices are in column order, so that each is the transposed one here: out^T (n,
// rows) = w (n, k) * x^T (k, rows).
namespace strata::hip::hipblaslt {
namespace {

// The one function that is C++: its name as every compiler of this platform writes it.
constexpr const char* kSupportsName =
    "_ZN13hipblaslt_ext21matmulIsAlgoSupportedEPvP27hipblasLtMatmulDescOpaque_tPKvP29hipblasLt"
    "MatrixLayoutOpaque_tS6_S4_S6_S6_R22_hipblasLtMatmulAlgo_tRm";

constexpr float kOne = 1;
constexpr float kNone = 0;

const float& added(const Product& p) { return p.add != nullptr ? kOne : kNone; }

}  // namespace

// How the matrices of a product lie; gone with this object.
class Library::Layouts {
 public:
  Layouts(const Library& library, const Product& p) : library_(library) {
    make(w, kBf16, p.k, p.n, p.w_step);
    make(x, kBf16, p.k, p.rows, p.x_step);
    make(add, kF32, p.n, p.rows, p.add != nullptr ? p.add_step : p.out_step);
    make(out, kF32, p.n, p.rows, p.out_step);
  }
  Layouts(const Layouts&) = delete;
  Layouts& operator=(const Layouts&) = delete;
  ~Layouts() {
    for (const Layout layout : {w, x, add, out})
      if (layout != nullptr) library_.destroy_layout_(layout);
  }

  Layout w = nullptr, x = nullptr, add = nullptr, out = nullptr;
  bool made = true;

 private:
  void make(Layout& layout, DataType type, std::int64_t rows, std::int64_t columns,
            std::int64_t step) {
    made = library_.create_layout_(&layout, type, static_cast<std::uint64_t>(rows),
                                   static_cast<std::uint64_t>(columns), step) == kDone &&
           made;
  }

  const Library& library_;
};

Library::Library(const SharedLibrary& file)
    : create_(file.function<Create>("hipblasLtCreate")),
      create_operation_(file.function<CreateOperation>("hipblasLtMatmulDescCreate")),
      set_operation_(file.function<SetOperation>("hipblasLtMatmulDescSetAttribute")),
      create_layout_(file.function<CreateLayout>("hipblasLtMatrixLayoutCreate")),
      destroy_layout_(file.function<DestroyLayout>("hipblasLtMatrixLayoutDestroy")),
      create_preference_(file.function<CreatePreference>("hipblasLtMatmulPreferenceCreate")),
      set_preference_(file.function<SetPreference>("hipblasLtMatmulPreferenceSetAttribute")),
      heuristic_(file.function<Heuristic>("hipblasLtMatmulAlgoGetHeuristic")),
      supports_(file.function<Supports>(kSupportsName)),
      matmul_(file.function<Matmul>("hipblasLtMatmul")) {}

bool Library::complete() const {
  return create_ != nullptr && create_operation_ != nullptr && set_operation_ != nullptr &&
         create_layout_ != nullptr && destroy_layout_ != nullptr && create_preference_ != nullptr &&
         set_preference_ != nullptr && heuristic_ != nullptr && supports_ != nullptr &&
         matmul_ != nullptr;
}

bool Library::open() {
  const std::uint64_t no_workspace = 0;
  return complete() && create_(&handle_) == kDone &&
         create_operation_(&operation_, kComputeF32, kF32) == kDone &&
         set_operation_(operation_, kTransposeFirst, &kTransposed, sizeof kTransposed) == kDone &&
         create_preference_(&preference_) == kDone &&
         set_preference_(preference_, kMostWorkspace, &no_workspace, sizeof no_workspace) == kDone;
}

std::vector<Algorithm> Library::algorithms(const Product& like, int most) {
  const std::lock_guard lock(mutex_);
  const Layouts layouts(*this, like);
  std::vector<Found> found(static_cast<std::size_t>(most));
  int count = 0;
  if (!layouts.made || heuristic_(handle_, operation_, layouts.w, layouts.x, layouts.add,
                                  layouts.out, preference_, most, found.data(), &count) != kDone)
    return {};
  found.resize(static_cast<std::size_t>(std::clamp(count, 0, most)));
  std::vector<Algorithm> algorithms;
  for (const Found& way : found)
    if (way.state == kDone && way.workspace == 0) algorithms.push_back(way.algorithm);
  return algorithms;
}

bool Library::takes(const Algorithm& algorithm, const Product& product) {
  const std::lock_guard lock(mutex_);
  const Layouts layouts(*this, product);
  Algorithm asked = algorithm;  // the library writes into it
  std::size_t workspace = 0;
  return layouts.made &&
         supports_(handle_, operation_, &kOne, layouts.w, layouts.x, &added(product), layouts.add,
                   layouts.out, asked, workspace) == kDone &&
         workspace == 0;
}

Status Library::multiply(HipStream stream, const Algorithm& algorithm, const Product& p) {
  const std::lock_guard lock(mutex_);
  const Layouts layouts(*this, p);
  if (!layouts.made) return kAllocationFailed;
  return matmul_(handle_, operation_, &kOne, p.w, layouts.w, p.x, layouts.x, &added(p),
                 p.add != nullptr ? p.add : p.out, layouts.add, p.out, layouts.out, &algorithm,
                 nullptr, 0, stream);
}

}  // namespace strata::hip::hipblaslt
