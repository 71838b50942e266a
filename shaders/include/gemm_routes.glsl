// The tiles of experts, for gemm.glsl: x over rows of w, y over the list of tiles.

struct Tile {
  uint row;   // first of out
  uint rows;  // of out in all
  uint w_row;
  uint tokens;
};

shared uint tile_routes[TILE_TOKENS];

bool find_tile(out Tile tile) {
  Words entry = Words(address_at(tiles, gl_WorkGroupID.y, 12u));
  const uint expert = entry.at[0];
  const uint first = entry.at[1];
  tile.tokens = entry.at[2];
  if (tile.tokens == 0u) return false;
  tile.row = gl_WorkGroupID.x * kOutRows;
  tile.rows = n;
  tile.w_row = expert * expert_rows + tile.row;
  for (uint t = gl_LocalInvocationID.x; t < tile.tokens; t += gl_WorkGroupSize.x)
    tile_routes[t] = uint(Ints(order).at[first + t]);
  barrier();
  return true;
}

uint x_row(Tile tile, uint t) { return tile_routes[t] / routes_per_x; }

struct OutRow {
  uvec2 address;
};

OutRow out_row(Tile tile, uint t) {
  return OutRow(address_at(o, tile_routes[t], o_stride));
}

void store_out(OutRow to, uint row, float value) { Floats(to.address).at[row] = value; }
