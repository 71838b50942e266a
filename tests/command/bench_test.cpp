// `strata bench` and `strata synth` as their users meet them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/command/process.h"
#include "tests/support/shared_data.h"
#include "tests/weights/temp_folder.h"

namespace strata::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string tiny() { return (source_root() / "models" / "strata-tiny.gguf").string(); }

std::vector<std::string> bench(std::vector<std::string> more) {
  std::vector<std::string> words = {"bench", "-m", tiny(), "-r", "1", "-p", "8", "-n", "4"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// llama-bench's fields, in its order.
const char* const kFields =
    "build_commit,build_number,cpu_info,gpu_info,backends,model_filename,model_type,model_size,"
    "model_n_params,n_batch,n_ubatch,n_threads,cpu_mask,cpu_strict,poll,type_k,type_v,n_gpu_layers,"
    "n_cpu_moe,split_mode,main_gpu,no_kv_offload,flash_attn,devices,tensor_split,"
    "tensor_buft_overrides,load_mode,embeddings,no_op_offload,no_host,fit_target,fit_min_ctx,"
    "n_prompt,n_gen,n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts";

TEST(BenchCommand, JsonHasTheFieldsOfLlamaBenchAndCeilings) {
  const Finished run = run_strata(bench({"-o", "json", "-r", "2"}));
  ASSERT_EQ(run.status, 0) << run.err;
  const auto rows = nlohmann::ordered_json::parse(run.out);
  ASSERT_EQ(rows.size(), 2U);
  std::string names;
  for (const auto& [key, value] : rows[0].items()) names += (names.empty() ? "" : ",") + key;
  EXPECT_THAT(names, StartsWith(std::string(kFields) + ",samples_ns,samples_ts,median_ts"));
  EXPECT_EQ(rows[0]["n_prompt"], 8);
  EXPECT_EQ(rows[0]["n_gen"], 0);
  EXPECT_EQ(rows[1]["n_gen"], 4);
  EXPECT_EQ(rows[0]["samples_ns"].size(), 2U);
  EXPECT_GT(rows[0]["avg_ts"], 0);
  EXPECT_GT(rows[0]["flops"], 0);
  EXPECT_GT(rows[0]["flops_ceiling"], 0);
  EXPECT_TRUE(rows[0]["bytes_per_token"].is_null()) << "of a prompt nothing of the kind is said";
  EXPECT_GT(rows[1]["bytes_per_token"], 0);
  EXPECT_GT(rows[1]["read_ceiling"], 0);
  EXPECT_GT(rows[1]["ceiling_share"], 0);
  EXPECT_TRUE(rows[1]["flops"].is_null());
}

TEST(BenchCommand, UnmeasuredCeilingsAreNull) {
  const Finished run = run_strata(bench({"-o", "json", "--no-ceilings", "--no-warmup"}));
  const json rows = json::parse(run.out);
  EXPECT_TRUE(rows[1]["read_ceiling"].is_null());
  EXPECT_TRUE(rows[1]["ceiling_share"].is_null());
  EXPECT_FALSE(rows[1]["bytes_per_token"].is_null());
}

TEST(BenchCommand, TheOtherFormats) {
  const auto output = [](const char* format) {
    const Finished run = run_strata(bench({"-o", format, "--no-ceilings"}));
    EXPECT_EQ(run.status, 0) << run.err;
    return run.out;
  };
  const std::vector<std::string> markdown = lines_of(output("md"));
  ASSERT_EQ(markdown.size(), 6U);
  EXPECT_THAT(markdown[0],
              StartsWith("| model                          |       size |     params | "
                         "backend    | threads |            test |"));
  EXPECT_THAT(markdown[2], HasSubstr("pp8"));
  EXPECT_THAT(markdown[3], HasSubstr("tg4"));
  EXPECT_THAT(markdown[5], StartsWith("build: "));
  const std::vector<std::string> csv = lines_of(output("csv"));
  ASSERT_EQ(csv.size(), 3U);
  EXPECT_THAT(csv[0], StartsWith(kFields));
  EXPECT_EQ(std::ranges::count(csv[0], ','), std::ranges::count(csv[1], ','));
  const std::vector<std::string> lines = lines_of(output("jsonl"));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(json::parse(lines[1]).at("n_gen"), 4);
  EXPECT_THAT(output("sql"), HasSubstr("INSERT INTO llama_bench (build_commit, "));
}

TEST(BenchCommand, TestsAreTheProductOfTheLists) {
  const Finished run =
      run_strata(bench({"-o", "jsonl", "--no-ceilings", "-p", "0", "-n", "2-4*2", "-pg", "8,2",
                        "-d", "0,16", "-ub", "4,8", "-ctk", "f16,q8_0", "-t", "1"}));
  ASSERT_EQ(run.status, 0) << run.err;
  const std::vector<std::string> lines = lines_of(run.out);
  // -p 8,0 (0 measures nothing), -n 4,2,4, one pair; two depths, two batches, two types.
  ASSERT_EQ(lines.size(), 5U * 2 * 2 * 2);
  std::vector<std::string> first;
  for (std::size_t i = 0; i < 6; ++i) {
    const json row = json::parse(lines[i]);
    first.push_back(row["n_prompt"].dump() + " " + row["n_gen"].dump() + " " +
                    row["n_depth"].dump());
  }
  EXPECT_THAT(first, ElementsAre("8 0 0", "0 4 0", "0 2 0", "0 4 0", "8 2 0", "8 0 16"));
  EXPECT_EQ(json::parse(lines.back())["type_k"], "q8_0");
  EXPECT_EQ(json::parse(lines.back())["n_ubatch"], 8);
}

TEST(BenchCommand, ProgressGoesToStandardError) {
  const Finished run = run_strata(bench({"--no-ceilings", "--progress", "-oe", "csv"}));
  EXPECT_THAT(run.err, HasSubstr("test 2/2 tg4: repetition 1"));
  EXPECT_THAT(run.err, HasSubstr("build_commit,"));
}

TEST(SynthCommand, WritesWhatTheOtherCommandsTake) {
  const TempFolder folder;
  const std::string file = (folder.path() / "m.gguf").string();
  const Finished synth =
      run_strata({"synth", "--shape", "tiny", "--type", "q4_k", "-o", file, "--seed", "3"});
  ASSERT_EQ(synth.status, 0) << synth.err;
  EXPECT_EQ(synth.out, "");
  EXPECT_THAT(synth.err, HasSubstr("22 tensors"));
  const Finished bench = run_strata({"bench", file, "-r", "1", "-p", "8", "-n", "2", "-o", "json"});
  EXPECT_EQ(bench.status, 0) << bench.err;
  EXPECT_EQ(json::parse(bench.out)[0]["model_type"], "llama 1.4M Q4_K");
  EXPECT_EQ(run_strata({"run", file, "--ids", "1,2", "-n", "2", "--check-tensors"}).status, 0);
  EXPECT_EQ(run_strata({"plan", file}).status, 0);
  EXPECT_EQ(run_strata({"inspect", file}).status, 0);
  EXPECT_EQ(run_strata({"logits", file, "--ids", "1,2", "-o", "/dev/null"}).status, 0);
  const Finished score =
      run_strata({"perplexity", file, "--ids", "1,2,3,4,5,6,7,8,9,10", "-c", "4"});
  EXPECT_EQ(score.status, 0) << score.err;
  EXPECT_THAT(score.out, HasSubstr("Final estimate"));
  const Finished text = run_strata({"run", file, "-p", "Hello"});
  EXPECT_EQ(text.status, 3);
  EXPECT_THAT(text.err, HasSubstr("holds no tokenizer"));
  EXPECT_THAT(text.err, HasSubstr("--ids"));
}

TEST(SynthCommand, OverwritesOnlyWhenForced) {
  const TempFolder folder;
  const std::string file = folder.write("m.gguf", "mine").string();
  const Finished refused = run_strata({"synth", "--shape", "tiny", "-o", file});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("exists already"));
  EXPECT_EQ(std::filesystem::file_size(file), 4U);
  EXPECT_EQ(run_strata({"synth", "--shape", "tiny", "-o", file, "--force"}).status, 0);
  EXPECT_GT(std::filesystem::file_size(file), 4U);
}

TEST(BenchCommand, RefusalsSayWhatIsWrong) {
  struct Case {
    std::vector<std::string> arguments;
    int status;
    const char* says;
  };
  const Case cases[] = {
      {{"bench"}, 2, "no model"},
      {{"bench", tiny(), "-p", "0", "-n", "0"}, 2, "nothing to measure"},
      {{"bench", tiny(), "-p", "8-4"}, 2, "8-4"},
      {{"bench", tiny(), "-pg", "8"}, 2, "-pg"},
      {{"bench", tiny(), "-ctk", "q4_9"}, 2, "q4_9"},
      {{"bench", tiny(), "-o", "xml"}, 2, "xml"},
      {{"bench", tiny(), "-r", "0"}, 2, "-r"},
      {{"bench", tiny(), "-ngl", "99"}, 5, "-ngl"},
      {{"bench", "/nonexistent.gguf"}, 1, "/nonexistent.gguf"},
      {{"bench", tiny(), "-d", "400000000"}, 4, "short"},
      {{"synth", "-o", "x.gguf"}, 2, "no shape"},
      {{"synth", "--shape", "tiny"}, 2, "no output file"},
      {{"synth", "--shape", "tiny", "-o", "-"}, 2, "standard output"},
      {{"synth", "--shape", "huge", "-o", "x"}, 2, "huge"},
      {{"synth", "--shape", "tiny", "--type", "I8", "-o", "x"}, 2, "I8"},
      {{"synth", "--shape", "tiny", "--layers", "9", "-o", "x"}, 2, "--layers"},
      {{"synth", "--shape", "tiny", "--pure", "--output-type", "F16", "-o", "x"}, 2, "--pure"},
      {{"synth", "--shape", "tiny", "-o", "/nonexistent/x"}, 1, "/nonexistent"},
      {{"synth", "--shape", "tiny", "-o", "/dev/null"}, 1, "not a regular file"},
  };
  for (const Case& tested : cases) {
    const Finished run = run_strata(tested.arguments);
    SCOPED_TRACE(testing::PrintToString(tested.arguments));
    EXPECT_EQ(run.status, tested.status) << run.err;
    EXPECT_THAT(run.err, HasSubstr("error[E-"));
    EXPECT_THAT(run.err, HasSubstr(tested.says));
  }
}

}  // namespace
}  // namespace strata::test
