// The index of this work group in a grid that fold_groups() (backends/vulkan/ops/common.h) made;
// it may be beyond the count that was asked for.
uint group_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
