#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_spirv_intrinsics : require
#define SUBGROUPS
#define X_INT8
#define INT_DOT
#include "include/gemv.glsl"
