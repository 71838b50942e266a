#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
#include "include/step.glsl"
#include "include/cache.glsl"
#include "include/rounding.glsl"
layout(local_size_x_id = 0) in;

// Softmax attention over the paged cache. A work group has a tile of query rows, tokens times heads
// of one kv head, so that they share what is read of the cache. It goes through the context in
// chunks of 64 positions with a running maximum per row (Dao et al. 2022). With SPLITS > 1 it has
// every SPLITS-th chunk, and attention_combine adds up the parts: which chunk is in which part
// depends on nothing but the token's position.
//
// Scores: four invocations share a position, each with every fourth piece of head_dim. Values: an
// invocation has a piece of head_dim and every TEAMS-th position.

layout(constant_id = 1) const uint HEAD_DIM = 128u;
layout(constant_id = 2) const uint GROUP = 4u;  // query heads of a kv head
layout(constant_id = 3) const uint TILE_TOKENS = 1u;
layout(constant_id = 4) const uint TILE_HEADS = 4u;
layout(constant_id = 5) const uint K_DTYPE = 1u;
layout(constant_id = 6) const uint V_DTYPE = 1u;
layout(constant_id = 7) const uint SPLITS = 1u;
layout(constant_id = 8) const uint PIECE = 8u;  // elements of head_dim per load: 8, or 4

layout(push_constant, std430) uniform Push {
  uvec2 q;
  uvec2 k_pages;
  uvec2 v_pages;
  uvec2 step;
  uvec2 o;
  uvec2 parts;   // (tokens, heads, SPLITS, HEAD_DIM) sums of exp2(score - largest) * value
  uvec2 states;  // (tokens, heads, SPLITS): (largest, sum of exp2(score - largest))
  uint tokens;
  uint q_stride;  // bytes
  uint k_stride;
  uint v_stride;
  uint o_stride;
  float scale;  // times log2(e)
  uint kv_heads;
  uint page_tokens;
  uint window;
};

const uint kChunk = 64u;
const uint kPadded = 72u;  // floats from one lane's chunk to the next: other banks
const uint kLanes = 4u;
const uint kLeast = 0xf149f2cau;  // -1e30: less than any score
const uint ROWS = TILE_TOKENS * TILE_HEADS;
const uint ROW_QUADS = (ROWS + 3u) / 4u;
const uint PIECES = HEAD_DIM / PIECE;
const uint SLOTS = gl_WorkGroupSize.x / kLanes;     // positions whose scores are summed at once
const uint SLOT_TURNS = kChunk / SLOTS;             // the work group has 128 invocations: 2
const uint TEAMS = gl_WorkGroupSize.x / PIECES;     // positions whose values are added at once
const uint SPREAD = gl_WorkGroupSize.x / kChunk;    // rows that are weighed at once
// Loads that an invocation has under way: less where rows take the registers.
const uint AHEAD = ROWS > 8u ? 2u : 4u;
const uint OWN_ROWS = (ROWS + SPREAD - 1u) / SPREAD;
const uint DOT_FLOATS = ROWS * kLanes * kPadded;
const uint SUM_FLOATS = TEAMS * HEAD_DIM;
const uint SCRATCH = DOT_FLOATS > SUM_FLOATS ? DOT_FLOATS : SUM_FLOATS;

shared vec4 queries[ROWS * HEAD_DIM / 4u];
shared float scratch[SCRATCH];
shared vec4 weights[kChunk * ROW_QUADS];  // of a chunk: [position][row]
shared uint cache_rows[2u * kChunk];      // two chunks' rows of the caches
shared float maxima[ROWS * 8u];
shared float shrinks[ROW_QUADS * 4u];  // what earlier sums are multiplied with
shared ivec2 sees[ROWS];               // positions [x, y)
shared ivec2 owners[TILE_TOKENS];      // (sequence, position)

// Of the rows that this invocation weighs: the running maximum, its position's share of the sum.
float largest[OWN_ROWS];
float total[OWN_ROWS];
// Sums of values, of its piece of head_dim.
vec4 low[ROWS];
vec4 high[ROWS];

struct Tile {
  uint first_token;
  uint kv_head;
  uint first_head;  // of the kv head's
  uint split;
};

bool is_row(Tile tile, uint r) { return tile.first_head + r % TILE_HEADS < GROUP; }
uint token_at(Tile tile, uint r) { return tile.first_token + r / TILE_HEADS; }
uint head_at(Tile tile, uint r) {
  return tile.kv_head * GROUP + tile.first_head + r % TILE_HEADS;
}

void load_tile(Tile tile) {
  const uint i = gl_LocalInvocationID.x;
  for (uint t = i; t < TILE_TOKENS; t += gl_WorkGroupSize.x) {
    const uint token = tile.first_token + t;
    const bool live = token < tokens && is_live(step, token);
    owners[t] = live ? ivec2(sequence_of(step, token), position_of(step, token)) : ivec2(-1);
  }
  barrier();
  for (uint r = i; r < ROWS; r += gl_WorkGroupSize.x) {
    const int end = owners[r / TILE_HEADS].y + 1;
    const int begin = window > 0u ? max(end - int(window), 0) : 0;
    sees[r] = is_row(tile, r) && end > 0 ? ivec2(begin, end) : ivec2(0);
  }
  for (uint c = i; c < ROWS * HEAD_DIM / 4u; c += gl_WorkGroupSize.x) {
    const uint r = c / (HEAD_DIM / 4u);
    vec4 v = vec4(0);
    if (is_row(tile, r) && owners[r / TILE_HEADS].x >= 0) {
      Floats from = Floats(address_at(q, token_at(tile, r), q_stride));
      const uint column = head_at(tile, r) * HEAD_DIM + c % (HEAD_DIM / 4u) * 4u;
      v = vec4(from.at[column], from.at[column + 1u], from.at[column + 2u], from.at[column + 3u]);
    }
    queries[c] = v * scale;
  }
  barrier();
}

// The row of the caches of this invocation's position of a chunk. Beyond what is needed it is that
// of a position which is needed: what is read there has no weight.
uint find_row(Tile tile, int sequence, int origin, ivec2 needed) {
  const int p = clamp(origin + int(gl_LocalInvocationID.x), needed.x, needed.y - 1);
  const uint page = uint(pages_of(step, sequence).at[uint(p) / page_tokens]);
  return (page * kv_heads + tile.kv_head) * page_tokens + uint(p) % page_tokens;
}

// This invocation's share of the dot products: scratch [row][lane][position].
void multiply(uint base) {
  const uint lane = gl_LocalInvocationID.x % kLanes;
  const uint slot = gl_LocalInvocationID.x / kLanes;
  uvec2 keys[SLOT_TURNS];
  float sums[ROWS][SLOT_TURNS];
  [[unroll]] for (uint t = 0u; t < SLOT_TURNS; ++t) {
    keys[t] = address_at(k_pages, cache_rows[base + slot + t * SLOTS], k_stride);
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) sums[r][t] = 0.0;
  }
  for (uint first = 0u; first < PIECES; first += kLanes * AHEAD) {
    CachePiece pieces[AHEAD][SLOT_TURNS];
    [[unroll]] for (uint j = 0u; j < AHEAD; ++j)
      [[unroll]] for (uint t = 0u; t < SLOT_TURNS; ++t)
        pieces[j][t] = load_piece(K_DTYPE, keys[t], min(first + j * kLanes + lane, PIECES - 1u),
                                  PIECE);
    [[unroll]] for (uint j = 0u; j < AHEAD; ++j) {
      const uint g = first + j * kLanes + lane;
      if (g >= PIECES) break;
      vec4 a[SLOT_TURNS];
      vec4 b[SLOT_TURNS];
      [[unroll]] for (uint t = 0u; t < SLOT_TURNS; ++t)
        piece_values(K_DTYPE, pieces[j][t], a[t], b[t]);
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        const vec4 x = queries[(r * HEAD_DIM + g * PIECE) / 4u];
        const vec4 y = PIECE == 8u ? queries[(r * HEAD_DIM + g * PIECE) / 4u + 1u] : vec4(0);
        [[unroll]] for (uint t = 0u; t < SLOT_TURNS; ++t) {
          sums[r][t] += dot(x, a[t]);
          if (PIECE == 8u) sums[r][t] += dot(y, b[t]);
        }
      }
    }
  }
  [[unroll]] for (uint r = 0u; r < ROWS; ++r)
    [[unroll]] for (uint t = 0u; t < SLOT_TURNS; ++t)
      scratch[(r * kLanes + lane) * kPadded + slot + t * SLOTS] = sums[r][t];
  barrier();
}

// Scores to weights. `run`: the tile's tokens that the chunk belongs to.
void weigh(int origin, uvec2 run) {
  const uint i = gl_LocalInvocationID.x;
  const uint p = i % kChunk;
  const float least = uintBitsToFloat(kLeast);
  for (uint j = 0u; j < OWN_ROWS; ++j) {
    const uint r = i / kChunk + j * SPREAD;
    if (r >= ROWS) break;
    const uint at = r * kLanes * kPadded + p;
    const float score = (scratch[at] + scratch[at + kPadded]) +
                        (scratch[at + 2u * kPadded] + scratch[at + 3u * kPadded]);
    const uint t = r / TILE_HEADS;
    const bool seen = origin + int(p) >= sees[r].x && origin + int(p) < sees[r].y &&
                      t >= run.x && t < run.y;
    scratch[at] = seen ? score : least;
    scratch[at + kPadded] = seen ? 1.0 : 0.0;
  }
  barrier();
  for (uint e = i; e < ROWS * 8u; e += gl_WorkGroupSize.x) {
    const uint at = (e / 8u) * kLanes * kPadded + e % 8u;
    float most = scratch[at];
    for (uint j = 8u; j < kChunk; j += 8u) most = max(most, scratch[at + j]);
    maxima[e] = most;
  }
  barrier();
  [[unroll]] for (uint j = 0u; j < OWN_ROWS; ++j) {
    const uint r = i / kChunk + j * SPREAD;
    if (r >= ROWS) break;
    float most = largest[j];
    for (uint e = 0u; e < 8u; ++e) most = max(most, maxima[r * 8u + e]);
    const uint at = r * kLanes * kPadded + p;
    const float above = scratch[at] - most;
    // NaN stays; what is far below the largest is nothing.
    float weight = is_nan(above) ? above : above < -126.0 ? 0.0 : exp2(above);
    if (scratch[at + kPadded] == 0.0) weight = 0.0;
    const float shrink = exp2(max(largest[j] - most, -126.0));
    largest[j] = most;
    total[j] = total[j] * shrink + weight;
    weights[p * ROW_QUADS + r / 4u][r % 4u] = weight;
    if (p == 0u) shrinks[r] = shrink;
  }
  barrier();
}

// Values of this invocation's positions `first`, `first` + 1, ... of a chunk.
void load_values(uint base, uint first, out CachePiece pieces[AHEAD]) {
  const uint g = gl_LocalInvocationID.x % PIECES;
  const uint team = min(gl_LocalInvocationID.x / PIECES, TEAMS - 1u);
  [[unroll]] for (uint j = 0u; j < AHEAD; ++j) {
    const uint p = min(team + (first + j) * TEAMS, kChunk - 1u);
    pieces[j] = load_piece(V_DTYPE, address_at(v_pages, cache_rows[base + p], v_stride), g, PIECE);
  }
}

// Whether one of them is NaN or infinite.
bool has_odd(vec4 v) {
  const uvec4 magnitudes = floatBitsToUint(v) & 0x7fffffffu;
  return max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w)) >= 0x7f800000u;
}

// Adds a chunk's values; `pieces` are the first of them.
void add_values(uint base, CachePiece pieces[AHEAD]) {
  const uint team = gl_LocalInvocationID.x / PIECES;
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    low[r] *= shrinks[r];
    if (PIECE == 8u) high[r] *= shrinks[r];
  }
  for (uint first = 0u; team + first * TEAMS < kChunk; first += AHEAD) {
    if (first > 0u) load_values(base, first, pieces);
    [[unroll]] for (uint j = 0u; j < AHEAD; ++j) {
      const uint p = team + (first + j) * TEAMS;
      if (p >= kChunk) break;
      vec4 a;
      vec4 b;
      piece_values(V_DTYPE, pieces[j], a, b);
      vec4 shares[ROW_QUADS];
      [[unroll]] for (uint i = 0u; i < ROW_QUADS; ++i) shares[i] = weights[p * ROW_QUADS + i];
      // What a row does not see has no weight there, but zero times NaN or infinity is NaN.
      const bool odd = TILE_TOKENS > 1u && (has_odd(a) || (PIECE == 8u && has_odd(b)));
      [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
        const float share = shares[r / 4u][r % 4u];
        if (odd && share == 0.0) continue;
        low[r] += share * a;
        if (PIECE == 8u) high[r] += share * b;
      }
    }
  }
}

// The chunks of a run of tokens of one sequence that this work group has. What a chunk needs of the
// page table is looked up while the one before it is computed.
void attend(Tile tile, uvec2 run, ivec2 needed) {
  const uint i = gl_LocalInvocationID.x;
  const int sequence = owners[run.x].x;
  const int first = needed.x / int(kChunk) * int(kChunk) + int(tile.split * kChunk);
  uint base = 0u;
  if (first >= needed.y) return;
  if (i < kChunk) cache_rows[i] = find_row(tile, sequence, first, needed);
  barrier();
  for (int origin = first; origin < needed.y; origin += int(SPLITS * kChunk)) {
    multiply(base);
    CachePiece pieces[AHEAD];
    load_values(base, 0u, pieces);
    uint next = 0u;
    if (i < kChunk) next = find_row(tile, sequence, origin + int(SPLITS * kChunk), needed);
    weigh(origin, run);
    add_values(base, pieces);
    base = kChunk - base;
    if (i < kChunk) cache_rows[base + i] = next;
    barrier();
  }
}

// Each row's sum of weights, in maxima[row * 8].
void finish_totals() {
  const uint i = gl_LocalInvocationID.x;
  barrier();
  [[unroll]] for (uint j = 0u; j < OWN_ROWS; ++j) {
    const uint r = i / kChunk + j * SPREAD;
    if (r < ROWS) scratch[r * kPadded + i % kChunk] = total[j];
    if (r < ROWS && i % kChunk == 0u) shrinks[r] = largest[j];
  }
  barrier();
  for (uint e = i; e < ROWS * 8u; e += gl_WorkGroupSize.x) {
    float sum = 0.0;
    for (uint j = 0u; j < 8u; ++j) sum += scratch[(e / 8u) * kPadded + e % 8u + 8u * j];
    maxima[e] = sum;
  }
  barrier();
}

float row_total(uint r) {
  float sum = maxima[r * 8u];
  for (uint e = 1u; e < 8u; ++e) sum += maxima[r * 8u + e];
  return sum;
}

void store_row(Tile tile, uint r) {
  const uint i = gl_LocalInvocationID.x;
  const uint token = token_at(tile, r);
  const uint head = head_at(tile, r);
  if (!is_row(tile, r) || token >= tokens) return;
  const float sum = row_total(r);
  const uint part = (token * kv_heads * GROUP + head) * SPLITS + tile.split;
  for (uint c = i; c < HEAD_DIM; c += gl_WorkGroupSize.x) {
    float value = scratch[c];
    for (uint t = 1u; t < TEAMS; ++t) value += scratch[t * HEAD_DIM + c];
    if (SPLITS > 1u)
      Floats(address_at(parts, part, HEAD_DIM * 4u)).at[c] = value;
    else  // a row that saw nothing is zeros
      Floats(address_at(o, token, o_stride)).at[head * HEAD_DIM + c] =
          sum == 0.0 ? 0.0 : value / sum;
  }
  if (SPLITS > 1u && i == 0u) {
    Floats state = Floats(address_at(states, part, 8u));
    state.at[0] = shrinks[r];
    state.at[1] = sum;
  }
}

void store_tile(Tile tile) {
  const uint g = gl_LocalInvocationID.x % PIECES;
  const uint team = gl_LocalInvocationID.x / PIECES;
  finish_totals();
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    barrier();
    if (team < TEAMS)
      [[unroll]] for (uint j = 0u; j < 4u; ++j) {
        scratch[team * HEAD_DIM + g * PIECE + j] = low[r][j];
        if (PIECE == 8u) scratch[team * HEAD_DIM + g * PIECE + 4u + j] = high[r][j];
      }
    barrier();
    store_row(tile, r);
  }
}

void main() {
  const uint head_tiles = (GROUP + TILE_HEADS - 1u) / TILE_HEADS;
  const uint tiles = (tokens + TILE_TOKENS - 1u) / TILE_TOKENS;
  uint group = group_index();
  Tile tile;
  tile.split = group % SPLITS;
  group /= SPLITS;
  tile.first_head = group % head_tiles * TILE_HEADS;
  group /= head_tiles;
  tile.kv_head = group % kv_heads;
  group /= kv_heads;
  if (group >= tiles) return;
  tile.first_token = (tiles - 1u - group) * TILE_TOKENS;  // those that see the most come first
  load_tile(tile);
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) low[r] = high[r] = vec4(0);
  [[unroll]] for (uint j = 0u; j < OWN_ROWS; ++j) {
    largest[j] = uintBitsToFloat(kLeast);
    total[j] = 0.0;
  }
  for (uint begin = 0u; begin < TILE_TOKENS;) {
    uint end = begin;
    ivec2 needed = ivec2(0x7fffffff, 0);
    for (; end < TILE_TOKENS && owners[end].x == owners[begin].x; ++end) {
      const ivec2 mine = sees[end * TILE_HEADS];
      if (mine.x < mine.y) needed = ivec2(min(needed.x, mine.x), max(needed.y, mine.y));
    }
    if (needed.x < needed.y) attend(tile, uvec2(begin, end), needed);
    begin = end;
  }
  store_tile(tile);
}
