// The tasks of up to three matrices, for gemv.glsl: groups of ROWS outputs of the first, then of
// the next. z: the next TOKENS rows of x.

bool find_task(out Task task) {
  uint group = group_index();
  task.matrix = 0u;
  while (task.matrix < 3u) {
    const uint groups = (n[task.matrix] + kOutRows - 1u) / kOutRows;
    if (group < groups) break;
    group -= groups;
    ++task.matrix;
  }
  if (task.matrix == 3u) return false;
  task.row = group * kOutRows;
  task.rows = n[task.matrix];
  task.w_row = task.row;
  task.x_row = gl_WorkGroupID.z * TOKENS;
  task.out_row = task.x_row;
  task.tokens = rows - task.x_row;
  return true;
}

void store_out(Task task, uint row, uint t, float value) {
  const uint m = task.matrix;
  precise float y = value;
  if (!is_absent(bias[m])) y += Floats(bias[m]).at[row];
  if (m == 0u && n[1] == 0u && !is_absent(bias[1]))
    y += Floats(address_at(bias[1], task.out_row + t, o_stride[1])).at[row];
  Floats(address_at(o[m], task.out_row + t, o_stride[m])).at[row] = y;
}
