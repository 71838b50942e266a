// Plays hipBLASLt on the CPU: its functions by their own names and types, with matrices in column
// order. STRATA_FAKE_HIPBLASLT=old refuses the numbers of ROCm 6, as ROCm 5's library does. Of its
// ways, numbered from 1, the second wants a workspace and the third is none.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

extern "C" {
struct hipblasLtMatmulDescOpaque_t {
  std::int32_t first_is_transposed = 0;
};
struct hipblasLtMatrixLayoutOpaque_t {
  int type;
  std::uint64_t rows, columns;
  std::int64_t step;
};
struct hipblasLtMatmulPreferenceOpaque_t {
  std::uint64_t most_workspace = ~std::uint64_t{0};
};
struct _hipblasLtMatmulAlgo_t {
  std::uint8_t data[16];
  std::size_t most_workspace;
};
}

namespace {

using Operation = hipblasLtMatmulDescOpaque_t*;
using Layout = hipblasLtMatrixLayoutOpaque_t*;
using Preference = hipblasLtMatmulPreferenceOpaque_t*;
using Algorithm = _hipblasLtMatmulAlgo_t;

struct Found {
  Algorithm algorithm;
  std::size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

constexpr int kInvalid = 3;
int handle_word = 0;  // its address is the handle
hipblasLtMatmulDescOpaque_t the_operation;
hipblasLtMatmulPreferenceOpaque_t the_preference;
int layouts = 0;

float from_bf16(std::uint16_t bits) {
  const std::uint32_t word = std::uint32_t{bits} << 16;
  float value = 0;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

// a (k, m) transposed and b (k, n), both bf16; c and d (m, n), f32.
bool fit(const void* handle, Operation operation, Layout a, Layout b, Layout c, Layout d) {
  return handle == &handle_word && operation->first_is_transposed == 112 && a->type == 14 &&
         b->type == 14 && c->type == 0 && d->type == 0 && a->rows == b->rows &&
         a->columns == d->rows && b->columns == d->columns && c->rows == d->rows &&
         c->columns == d->columns;
}

}  // namespace

extern "C" {

int fake_hipblaslt_layouts() { return layouts; }

int hipblasLtCreate(void** handle) {
  *handle = &handle_word;
  return 0;
}
int hipblasLtMatmulDescCreate(Operation* operation, int compute, int scale) {
  const char* const state = std::getenv("STRATA_FAKE_HIPBLASLT");
  const int f32 = state != nullptr && std::string_view(state) == "old" ? 300 : 2;
  if (compute != f32 || scale != 0) return kInvalid;
  *operation = &the_operation;
  return 0;
}
int hipblasLtMatmulDescSetAttribute(Operation operation, int what, const void* value,
                                    std::size_t bytes) {
  if (what != 0 || bytes != 4) return kInvalid;
  std::memcpy(&operation->first_is_transposed, value, bytes);
  return 0;
}
int hipblasLtMatrixLayoutCreate(Layout* layout, int type, std::uint64_t rows, std::uint64_t columns,
                                std::int64_t step) {
  *layout = new hipblasLtMatrixLayoutOpaque_t{type, rows, columns, step};
  ++layouts;
  return 0;
}
int hipblasLtMatrixLayoutDestroy(Layout layout) {
  delete layout;
  --layouts;
  return 0;
}
int hipblasLtMatmulPreferenceCreate(Preference* preference) {
  *preference = &the_preference;
  return 0;
}
int hipblasLtMatmulPreferenceSetAttribute(Preference preference, int what, const void* value,
                                          std::size_t bytes) {
  if (what != 1 || bytes != 8) return kInvalid;
  std::memcpy(&preference->most_workspace, value, bytes);
  return 0;
}
int hipblasLtMatmulAlgoGetHeuristic(void* handle, Operation operation, Layout a, Layout b, Layout c,
                                    Layout d, Preference preference, int wanted, Found found[],
                                    int* count) {
  if (!fit(handle, operation, a, b, c, d) || preference->most_workspace != 0) return kInvalid;
  for (*count = 0; *count < wanted && *count < 4; ++*count) {
    Found& way = found[*count];
    way = {};
    way.algorithm.data[0] = static_cast<std::uint8_t>(*count + 1);
    way.workspace = *count == 1 ? 4096 : 0;
    way.state = *count == 2 ? kInvalid : 0;
  }
  return 0;
}
int hipblasLtMatmul(void* handle, Operation operation, const void* alpha, const void* a,
                    Layout a_layout, const void* b, Layout b_layout, const void* beta,
                    const void* c, Layout c_layout, void* d, Layout d_layout,
                    const Algorithm* algorithm, void* workspace, std::size_t workspace_bytes,
                    void* stream) {
  if (!fit(handle, operation, a_layout, b_layout, c_layout, d_layout) || workspace != nullptr ||
      workspace_bytes != 0 || algorithm->data[0] == 0 || stream == nullptr)
    return kInvalid;
  const auto* w = static_cast<const std::uint16_t*>(a);
  const auto* x = static_cast<const std::uint16_t*>(b);
  const auto m = static_cast<std::int64_t>(d_layout->rows);
  const auto n = static_cast<std::int64_t>(d_layout->columns);
  for (std::int64_t column = 0; column < n; ++column)
    for (std::int64_t row = 0; row < m; ++row) {
      float sum = 0;
      for (std::int64_t k = 0; k < static_cast<std::int64_t>(a_layout->rows); ++k)
        sum += from_bf16(w[row * a_layout->step + k]) * from_bf16(x[column * b_layout->step + k]);
      sum *= *static_cast<const float*>(alpha);
      if (*static_cast<const float*>(beta) != 0)
        sum += static_cast<const float*>(c)[column * c_layout->step + row];
      static_cast<float*>(d)[column * d_layout->step + row] = sum;
    }
  return 0;
}
}

namespace hipblaslt_ext {

// Of more than 64 rows of w the ways need a workspace, and none takes an odd number.
int matmulIsAlgoSupported(void* handle, hipblasLtMatmulDescOpaque_t* operation, const void* alpha,
                          hipblasLtMatrixLayoutOpaque_t* a, hipblasLtMatrixLayoutOpaque_t* b,
                          const void* beta, hipblasLtMatrixLayoutOpaque_t* c,
                          hipblasLtMatrixLayoutOpaque_t* d, _hipblasLtMatmulAlgo_t& algorithm,
                          std::size_t& workspace) {
  if (alpha == nullptr || beta == nullptr || !fit(handle, operation, a, b, c, d) ||
      a->columns % 2 != 0)
    return kInvalid;
  workspace = a->columns > 64 ? 4096 : 0;
  algorithm.most_workspace = workspace;
  return 0;
}

}  // namespace hipblaslt_ext
