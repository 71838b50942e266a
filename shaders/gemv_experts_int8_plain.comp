#version 460
#extension GL_GOOGLE_include_directive : require
#define EXPERTS
#define X_INT8
#include "include/gemv.glsl"
