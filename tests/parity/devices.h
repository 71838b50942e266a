#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/core/device.h"

namespace strata::test {

/// The devices that a parity program tests. Every program links the same tests with its own
/// definition of the first three: the CPU's (tests/ops) one device per instruction set.

/// Names of the devices, for messages; empty when none can be used here.
std::vector<std::string> device_names();

/// The device of that name, made once per number of threads. `threads` is for the CPU.
Device& test_device(const std::string& name, int threads);

/// Most rows that a test gives an op: few where a device is emulated slowly.
std::int64_t largest_batch();

/// Calls `body` with every device. Skips the test, with the reason, where there is none.
void for_each_device(int threads, const std::function<void(Device&)>& body);

/// Those of `batches` that are not too large.
std::vector<std::int64_t> batches(std::vector<std::int64_t> all);

/// Whether the device promises bits that do not depend on the batch, on fusion and on layouts.
bool exact_bits(const Device& device);

/// What the error of exp, sin, cos, division and root may be, in units of the CPU's (which are
/// correct to about one unit in the last place): GPUs round them in several steps.
double function_slack(const Device& device);

/// Roundings that a sum of `terms` products goes through at most: the CPU adds in 16 lanes and a
/// tree, GPUs may give all of a sum to one lane.
double sum_roundings(const Device& device, double terms);

}  // namespace strata::test
