#version 460
#extension GL_GOOGLE_include_directive : require
#define SUBGROUPS
#define EXPERTS
#include "include/gemv.glsl"
