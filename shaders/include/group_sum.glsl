// The sum of all invocations' parts, in an order that only the work group's size decides. A power
// of two of invocations, all of which call it. Every call is followed by a barrier before the next.
shared float group_parts[gl_WorkGroupSize.x];

float group_sum(float part) {
  const uint i = gl_LocalInvocationID.x;
  group_parts[i] = part;
  barrier();
  for (uint half_of = gl_WorkGroupSize.x / 2u; half_of > 0u; half_of /= 2u) {
    if (i < half_of) {
      precise float sum = group_parts[i] + group_parts[i + half_of];
      group_parts[i] = sum;
    }
    barrier();
  }
  return group_parts[0];
}

// 1 / sqrt(mean(x^2) + eps) from this invocation's sum of squares.
float inverse_rms(float squares, uint n, float eps) {
  precise float mean = group_sum(squares) / float(n);
  precise float scale = 1.0 / sqrt(mean + eps);
  return scale;
}
