// The tiles of one matrix, or a gated pair, for gemm.glsl: x over rows of w, y over rows of x.

struct Tile {
  uint row;   // first of out
  uint rows;  // of out in all
  uint w_row;
  uint first_token;
  uint tokens;  // that there are from first_token
};

bool find_tile(out Tile tile) {
  tile.row = gl_WorkGroupID.x * kOutRows;
  tile.rows = n[0];
  tile.w_row = tile.row;
  tile.first_token = gl_WorkGroupID.y * TILE_TOKENS;
  tile.tokens = rows - tile.first_token;
  return true;
}

uint x_row(Tile tile, uint t) { return tile.first_token + t; }

// Where the outputs of a row of x go, and what is added to them.
struct OutRow {
  uvec2 address;
  uvec2 residual;
};

OutRow out_row(Tile tile, uint t) {
  const uint token = tile.first_token + t;
  OutRow to;
  to.address = address_at(o[0], token, o_stride[0]);
  to.residual = is_absent(bias[1]) ? uvec2(0) : address_at(bias[1], token, o_stride[1]);
  return to;
}

void store_out(OutRow to, uint row, float value) {
  precise float y = value;
  if (!is_absent(bias[0])) y += Floats(bias[0]).at[row];
  if (!is_absent(to.residual)) y += Floats(to.residual).at[row];
  Floats(to.address).at[row] = y;
}
