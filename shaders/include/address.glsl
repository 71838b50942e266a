// Memory by address. Offsets within one reference are 32 bits; rows(...) reach beyond 4 GiB.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : enable

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint at[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Words4 { uvec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Floats4 { vec4 at[]; };

// address + index * stride, in bytes, with 64 bits. An address is a uvec2 (low word first).
uvec2 address_at(uvec2 address, uint index, uint stride) {
  uint high;
  uint low;
  umulExtended(index, stride, high, low);
  uint carry;
  const uint sum = uaddCarry(address.x, low, carry);
  return uvec2(sum, address.y + high + carry);
}
uvec2 address_at(uvec2 address, uint offset) { return address_at(address, offset, 1u); }
bool is_absent(uvec2 address) { return address == uvec2(0); }
