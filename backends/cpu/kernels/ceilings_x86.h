#pragma once

// The steps of ceilings.cpp for x86-64: what one instruction set multiplies with, and on how many
// registers.

#if defined(__AVX512F__)

#define STRATA_REGISTERS "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"
#define STRATA_CLEAR "vpxord %%zmm\\r, %%zmm\\r, %%zmm\\r"
#define STRATA_SET "vpbroadcastd %[operand], %%zmm30\n vpbroadcastd %[operand], %%zmm31"
#define STRATA_END "vzeroupper"
#define STRATA_UPPER \
  , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm30", "xmm31"
static constexpr double kRegisters = 24;

#define STRATA_F32_STEP "vfmadd231ps %%zmm30, %%zmm31, %%zmm\\r"
static constexpr double kF32Step = 32;

#else

// Twelve of sixteen: the others hold operands and a product.
#define STRATA_REGISTERS "0,1,2,3,4,5,6,7,8,9,10,11"
#define STRATA_UPPER
static constexpr double kRegisters = 12;

#if defined(__AVX2__)
#define STRATA_CLEAR "vpxor %%ymm\\r, %%ymm\\r, %%ymm\\r"
#define STRATA_SET \
  "vmovd %[operand], %%xmm14\n vpbroadcastd %%xmm14, %%ymm14\n vmovdqa %%ymm14, %%ymm15"
#define STRATA_END "vzeroupper"
#define STRATA_F32_STEP "vfmadd231ps %%ymm14, %%ymm15, %%ymm\\r"
static constexpr double kF32Step = 16;
#else
#define STRATA_CLEAR "pxor %%xmm\\r, %%xmm\\r"
#define STRATA_SET \
  "movd %[operand], %%xmm14\n pshufd $0, %%xmm14, %%xmm14\n movdqa %%xmm14, %%xmm15"
#define STRATA_END ""
#define STRATA_F32_STEP "movaps %%xmm14, %%xmm12\n mulps %%xmm15, %%xmm12\n addps %%xmm12, %%xmm\\r"
static constexpr double kF32Step = 8;
#endif

#endif

#if defined(__AVX512VNNI__)
#define STRATA_INT8_STEP "vpdpbusd %%zmm30, %%zmm31, %%zmm\\r"
static constexpr double kInt8Step = 128;
#elif defined(__AVXVNNI__)
#define STRATA_INT8_STEP "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm\\r"
static constexpr double kInt8Step = 64;
#elif defined(__AVX2__)
#define STRATA_INT8_STEP                   \
  "vpmaddubsw %%ymm14, %%ymm15, %%ymm12\n" \
  "vpmaddwd %%ymm14, %%ymm12, %%ymm12\n"   \
  "vpaddd %%ymm12, %%ymm\\r, %%ymm\\r"
static constexpr double kInt8Step = 64;
#endif

#if defined(__AVX512BF16__)
#define STRATA_BF16_STEP "vdpbf16ps %%zmm30, %%zmm31, %%zmm\\r"
static constexpr double kBf16Step = 64;
#endif

#define STRATA_PEAK(step)                                                                      \
  asm volatile(STRATA_SET "\n.irp r," STRATA_REGISTERS "\n" STRATA_CLEAR                       \
                          "\n.endr\n"                                                          \
                          "1:\n.irp r," STRATA_REGISTERS "\n" step                             \
                          "\n.endr\n"                                                          \
                          "dec %[rounds]\n jnz 1b\n" STRATA_END                                \
               : [rounds] "+r"(rounds)                                                         \
               : [operand] "r"(kOperand)                                                       \
               : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                 "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15" STRATA_UPPER)
