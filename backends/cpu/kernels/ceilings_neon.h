#pragma once

// The steps of ceilings.cpp for AArch64.

#define STRATA_REGISTERS "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23"
#define STRATA_CLEAR "movi v\\r\\().16b, #0"
#define STRATA_SET "dup v30.4s, %w[operand]\n dup v31.4s, %w[operand]"
static constexpr double kRegisters = 24;

#define STRATA_F32_STEP "fmla v\\r\\().4s, v30.4s, v31.4s"
static constexpr double kF32Step = 8;

#if defined(__ARM_FEATURE_MATMUL_INT8)
#define STRATA_INT8_STEP "smmla v\\r\\().4s, v30.16b, v31.16b"
static constexpr double kInt8Step = 64;
#elif defined(__ARM_FEATURE_DOTPROD)
#define STRATA_INT8_STEP "sdot v\\r\\().4s, v30.16b, v31.16b"
static constexpr double kInt8Step = 32;
#endif

#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define STRATA_BF16_STEP "bfmmla v\\r\\().4s, v30.8h, v31.8h"
static constexpr double kBf16Step = 32;
#endif

#define STRATA_PEAK(step)                                                                        \
  asm volatile(STRATA_SET "\n.irp r," STRATA_REGISTERS "\n" STRATA_CLEAR                         \
                          "\n.endr\n"                                                            \
                          "1:\n.irp r," STRATA_REGISTERS "\n" step                               \
                          "\n.endr\n"                                                            \
                          "subs %[rounds], %[rounds], #1\n b.ne 1b\n"                            \
               : [rounds] "+r"(rounds)                                                           \
               : [operand] "r"(kOperand)                                                         \
               : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", \
                 "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",    \
                 "v23", "v30", "v31")
