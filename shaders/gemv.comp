#version 460
#extension GL_GOOGLE_include_directive : require
#define SUBGROUPS
#include "include/gemv.glsl"
