// StepState (runtime/ops/step_state.h): what varies from step to step. Needs include/address.glsl.
// Views of a recorded step have the capacity; how many rows are real is told here.
layout(buffer_reference, std430, buffer_reference_align = 4) readonly buffer Step {
  int token_count;
  int row_count;
  int page_tokens;
  int pages_per_sequence;
  int tokens_offset;
  int positions_offset;
  int sequences_offset;
  int rows_offset;
  int pages_offset;
};

bool is_live(uvec2 step, uint token) { return token < uint(max(Step(step).token_count, 0)); }
Ints step_ints(uvec2 step, int offset) { return Ints(address_at(step, uint(offset))); }
int token_of(uvec2 step, uint t) { return step_ints(step, Step(step).tokens_offset).at[t]; }
int position_of(uvec2 step, uint t) { return step_ints(step, Step(step).positions_offset).at[t]; }
int sequence_of(uvec2 step, uint t) { return step_ints(step, Step(step).sequences_offset).at[t]; }
// Page ids of a sequence slot, in order of position.
Ints pages_of(uvec2 step, int sequence) {
  Step s = Step(step);
  return Ints(address_at(address_at(step, uint(s.pages_offset)), uint(sequence),
                         uint(s.pages_per_sequence) * 4u));
}
