// The tasks of experts, for gemv.glsl: y is a place in `order`, that is a route of some expert, and
// x folds groups of ROWS outputs of it. TOKENS is 1.

shared uint experts_before;

// The expert whose routes are at this place: as many experts' routes end before or at it.
uint expert_of(uint place) {
  if (gl_LocalInvocationID.x == 0u) experts_before = 0u;
  barrier();
  Ints ends = Ints(address_at(offsets, 4u));
  for (uint e = gl_LocalInvocationID.x; e < experts; e += gl_WorkGroupSize.x)
    if (uint(ends.at[e]) <= place) atomicAdd(experts_before, 1u);
  barrier();
  return experts_before;
}

bool find_task(out Task task) {
  const uint route = uint(Ints(order).at[gl_WorkGroupID.y]);
  const uint expert = expert_of(gl_WorkGroupID.y);
  if (expert >= experts) return false;
  task.matrix = 0u;
  task.row = gl_WorkGroupID.x * kOutRows;
  task.rows = n;
  task.w_row = expert * expert_rows + task.row;
  task.x_row = route / routes_per_x;
  task.out_row = route;
  task.tokens = 1u;
  return true;
}

void store_out(Task task, uint row, uint t, float value) {
  Floats(address_at(o, task.out_row, o_stride)).at[row] = value;
}
