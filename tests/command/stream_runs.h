#pragma once

// Runs of `strata` with less memory than a model needs, for the tests of streaming and of experts.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/command/process.h"
#include "tests/support/shared_data.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {

inline std::string tiny() { return (source_root() / "models" / "strata-tiny.gguf").string(); }
inline std::string tiny_moe() {
  return (source_root() / "models" / "strata-tiny-moe.gguf").string();
}

using Words = std::vector<std::string>;

inline Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Greedy text, the same wherever it is computed.
inline Words story(const std::string& model) {
  return {"run", model, "-p", "Once upon a time", "-n", "12", "--temp", "0", "-c", "128"};
}

// What the whole model takes on the simulated device.
inline std::uint64_t need_of(const Words& arguments) {
  const nlohmann::json plan = nlohmann::json::parse(
      run_strata(Words{"plan", arguments[1], "--json", "--device", "sim:0", "-c", "128"}).out);
  return plan.at("devices")[0].at("need_bytes");
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string kib(std::uint64_t bytes) { return std::to_string(bytes / 1024) + "KiB"; }
// The logits of a model on the simulated device, with so much of its memory.
inline std::string logits_of(const std::string& model, const Words& memory) {
  const TempFolder folder;
  const std::string file = (folder.path() / "logits").string();
  const Finished run = run_strata(Words{"logits", model, "--ids", "1,5,9,17,33,65,129,200", "-o",
                                        file, "-c", "128", "--device", "sim:0"} +
                                  memory);
  EXPECT_EQ(run.status, 0) << run.err;
  return read_bytes(file);
}

}  // namespace strata::test
