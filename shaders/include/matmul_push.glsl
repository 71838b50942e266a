// What matmuls are given (backends/vulkan/ops/matmul.h), and the matrices that they make of it.
// Needs include/address.glsl. EXPERTS: one matrix per expert.

layout(constant_id = 4) const uint GATED = 0u;      // 1: matrices 0 and 1 are gate and up
layout(constant_id = 5) const uint X_ALIGNED = 0u;  // 1: rows of x begin on 16 bytes, k is whole
                                                    // pieces of 4 columns

#ifdef EXPERTS
layout(push_constant, std430) uniform Push {
  uvec2 x;
  uvec2 w[2];
  uvec2 o;
  uvec2 offsets;  // (experts + 1): of each expert's first route in `order`
  uvec2 order;    // (routes)
  uvec2 tiles;    // (bound) of (expert, first route): made by experts_tiles.comp
  uint k;
  uint x_stride;  // bytes from row to row
  uint w_stride;  // rows only
  uint o_stride;
  uint n;
  uint expert_rows;  // rows of w from expert to expert: n, or padded to panels
  uint experts;
  uint routes;
  uint routes_per_x;  // consecutive routes that share a row of x
};
#else
layout(push_constant, std430) uniform Push {
  uvec2 x;
  uvec2 w[3];
  uvec2 o[3];
  uvec2 bias[3];  // absent, or (n); bias[1] with n[1] == 0: the residual, rows like o[0]
  uint k;
  uint x_stride;
  uint w_stride;
  uint rows;
  uint n[3];  // 0: no such matrix
  uint o_stride[3];
};
#endif
