#version 460
#extension GL_GOOGLE_include_directive : require
#define EXPERTS
#include "include/tile_khr.glsl"
#include "include/gemm_tiles.glsl"
