// The program as its user meets it: exit status, standard output, standard error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/command/process.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

std::string tiny() { return (source_root() / "models" / "strata-tiny.gguf").string(); }

// A folder of its own for each test, gone at its end.
class Command : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "strata-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

 private:
  std::filesystem::path folder_;
};

TEST_F(Command, RunPrintsTheTextAndNothingElse) {
  const Finished run =
      run_strata({"run", "-m", tiny(), "-p", "The robot", "-n", "8", "--temp", "0"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_FALSE(run.out.empty());
  EXPECT_NE(run.out.back(), '\n') << "a last newline is for terminals";
  EXPECT_THAT(run.err, HasSubstr("Prompt:"));
  EXPECT_THAT(run.err, HasSubstr("cpu:0"));
  const Finished quiet =
      run_strata({"run", tiny(), "-p", "The robot", "-n", "8", "--temp", "0", "-q"});
  EXPECT_EQ(quiet.out, run.out);
  EXPECT_EQ(quiet.err, "");
}

// The simulated device stands for a GPU: the text is the CPU's wherever the layers are.
TEST_F(Command, LayersOnSeveralDevicesGiveTheSameText) {
  const std::vector<std::string> base{"run", tiny(), "-p",     "Once upon a time",
                                      "-n",  "12",   "--temp", "0"};
  const std::string want = run_strata(base).out;
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--device", "sim:0"},
                                               {"--device", "sim:0", "-ngl", "2"},
                                               {"--device", "sim:0", "-ngl", "1"},
                                               {"--device", "sim:0,cpu"}}) {
    std::vector<std::string> arguments = base;
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished run = run_strata(arguments);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, want);
    EXPECT_NE(run.err.find("sim:0"), std::string::npos) << run.err;
  }
}

TEST_F(Command, RunAsJson) {
  const Finished run = run_strata(
      {"run", tiny(), "-p", "The robot", "-n", "5", "--temp", "0", "--json", "--logprobs", "2"});
  ASSERT_EQ(run.status, 0) << run.err;
  const json object = json::parse(run.out);
  EXPECT_EQ(object.at("ids").size(), 5U);
  EXPECT_EQ(object.at("finish_reason"), "length");
  EXPECT_EQ(object.at("logprobs").size(), 5U);
  EXPECT_EQ(object.at("logprobs")[0].at("top_logprobs").size(), 2U);
  // Greedy: the chosen token is the most probable one.
  EXPECT_EQ(object.at("logprobs")[0].at("id"),
            object.at("logprobs")[0].at("top_logprobs")[0]["id"]);
  EXPECT_EQ(object.at("timings").at("predicted_n"), 5);
  const std::string ids = object.at("prompt_ids").dump();
  const Finished again =
      run_strata({"run", tiny(), "--ids", ids, "-n", "5", "--temp", "0", "--json"});
  EXPECT_EQ(json::parse(again.out).at("ids"), object.at("ids"));
}

TEST_F(Command, SeedsDecideTheText) {
  auto text = [](const char* seed) {
    return run_strata({"run", tiny(), "-p", "One day", "-n", "24", "-s", seed, "-q"}).out;
  };
  EXPECT_EQ(text("7"), text("7"));
  EXPECT_NE(text("7"), text("8"));
  const Finished random = run_strata({"run", tiny(), "-p", "One day", "-n", "2"});
  EXPECT_THAT(random.err, HasSubstr("seed ")) << "a random seed is printed";
}

TEST_F(Command, PromptsComeFromPipesOnlyWhenAsked) {
  Start start;
  start.arguments = {"run", tiny(), "-n", "6", "--temp", "0", "-q"};
  start.input = "The robot";
  const Finished piped = run_strata(start);
  EXPECT_EQ(piped.out,
            run_strata({"run", tiny(), "-p", "The robot", "-n", "6", "--temp", "0", "-q"}).out);
  start.arguments = {"run", tiny(), "-p", "The robot", "-n", "6", "--temp", "0", "-q"};
  start.input = "";
  start.keep_input_open = true;  // an inherited pipe that nobody closes must not hang the program
  EXPECT_EQ(run_strata(start).out, piped.out);
}

TEST_F(Command, StopTextsAndEscapes) {
  const std::string whole =
      run_strata({"run", tiny(), "-p", "The robot", "-n", "20", "--temp", "0", "-q"}).out;
  const std::string stop = whole.substr(8, 4);
  const Finished run = run_strata({"run", tiny(), "-p", "The robot", "-n", "20", "--temp", "0",
                                   "--stop", stop, "--json", "-q"});
  EXPECT_EQ(json::parse(run.out).at("text"), whole.substr(0, whole.find(stop)));
  EXPECT_EQ(json::parse(run.out).at("finish_reason"), "stop");
  const Finished escaped = run_strata({"tokenize", tiny(), "-p", "a\\nb", "--ids"});
  const Finished plain = run_strata({"tokenize", tiny(), "-p", "a\nb", "--ids"});
  EXPECT_EQ(escaped.out, plain.out);
  EXPECT_NE(run_strata({"tokenize", tiny(), "-p", "a\\nb", "--ids", "--no-escape"}).out, plain.out);
}

TEST_F(Command, ErrorsHaveTheirOwnExitStatus) {
  struct Case {
    std::vector<std::string> arguments;
    int status;
    const char* says;
  };
  const Case cases[] = {
      {{"run", "--no-such-flag"}, 2, "--no-such-flag"},
      {{"run", "-p", "x"}, 2, "-m"},
      {{"run", tiny(), "-p", "x", "-n", "many"}, 2, "many"},
      {{"run", tiny(), "-p", "x", "--top-p", "2"}, 2, "--top-p"},
      {{"run", tiny(), "--ids", "999999"}, 2, "999999"},
      {{"run", tiny(), "-p", ""}, 2, "empty"},
      {{"run", "/nonexistent.gguf", "-p", "x"}, 1, "/nonexistent.gguf"},
      {{"run", (source_root() / "README.md").string(), "-p", "x"}, 3, "README.md"},
      {{"run", tiny(), "-p", "x", "-c", "400000000"}, 4, "short"},
      {{"run", tiny(), "-p", "x", "--device", "cuda:99"}, 5, "cuda"},
      {{"run", tiny(), "-p", "x", "--device", "hip:99"}, 5, "cpu:0"},
      {{"run", tiny(), "-p", "x", "--device", "cpu,cuda:99"}, 5, "cuda:99"},
      {{"run", tiny(), "-p", "x", "-mg", "99", "--device", "cpu"}, 5, "--main-gpu"},
      {{"run", tiny(), "-p", "x", "--device", "toaster"}, 2, "toaster"},
      {{"run", tiny(), "-p", "x", "-ngl", "99"}, 5, "-ngl"},
      {{"run", tiny(), "-p", "x", "-tb", "1025"}, 2, "1025"},
      {{"run", tiny(), "-p", "x", "-ngl", "some"}, 2, "-ngl"},
      {{"perplexity", tiny(), "-p", "too short"}, 2, "tokens"},
      {{"perplexity", tiny(), "-p", "long enough for this", "-c", "2"}, 2, "context"},
      {{"logits", tiny(), "--ids", "1,2,3,4", "-c", "3", "-o", "/dev/null"}, 2, "holds 3"},
      {{"run", tiny(), "-p", "x", "-n", "0", "--stats", "/dev/full"}, 1, "/dev/full"},
      {{"logits", tiny(), "-p", "x"}, 2, "-o"},
      {{"logits", tiny(), "-p", "x", "-o", "/nonexistent/file"}, 1, "/nonexistent/file"},
      {{"frobnicate"}, 2, "frobnicate"},
  };
  for (const Case& tested : cases) {
    const Finished run = run_strata(tested.arguments);
    SCOPED_TRACE(testing::PrintToString(tested.arguments));
    EXPECT_EQ(run.status, tested.status) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, HasSubstr("error[E-"));
    EXPECT_THAT(run.err, HasSubstr(tested.says));
  }
}

TEST_F(Command, BothPhasesMayHaveThreadsOfTheirOwn) {
  const Finished one =
      run_strata({"run", tiny(), "-p", "x y z", "-n", "4", "--temp", "0", "-t", "1"});
  EXPECT_EQ(one.status, 0) << one.err;
  for (const auto& [decode, prompt] :
       {std::pair{"2", "3"}, std::pair{"3", "1"}, std::pair{"2", "2"}}) {
    const Finished run = run_strata(
        {"run", tiny(), "-p", "x y z", "-n", "4", "--temp", "0", "-t", decode, "-tb", prompt});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, one.out);
  }
  EXPECT_THAT(run_strata({"run", tiny(), "-p", "x", "-n", "1", "-t", "999"}).err,
              HasSubstr("take turns"));
}

TEST_F(Command, ErrorsAsJson) {
  const Finished run =
      run_strata({"run", tiny(), "-p", "x", "--device", "cuda:0", "--error-format", "json"});
  EXPECT_EQ(run.status, 5);
  EXPECT_EQ(json::parse(run.err).at("error").at("code"), "E-DEVICE");
}

TEST_F(Command, InterruptStillPrintsTheSummary) {
  Start start;
  start.arguments = {"run", tiny(), "-p", "One day", "-n", "100000", "-c", "8192", "--ignore-eos"};
  start.signal_after_output = SIGINT;
  const Finished run = run_strata(start);
  EXPECT_EQ(run.status, 128 + SIGINT);
  EXPECT_THAT(run.err, HasSubstr("finish cancelled"));
  EXPECT_THAT(run.err, HasSubstr("Generation:"));
}

TEST_F(Command, LogitsFileHasEveryPosition) {
  const std::string file = path("out.f32");
  const Finished run = run_strata({"logits", "-m", tiny(), "--ids", "1,2,3", "-o", file});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "");
  const json inspect = json::parse(run_strata({"inspect", tiny(), "--json"}).out);
  const std::size_t vocabulary = inspect.at("metadata").at("tokenizer.ggml.tokens").size();
  EXPECT_EQ(std::filesystem::file_size(file), 3 * vocabulary * sizeof(float));
}

TEST_F(Command, InspectShowsTensorsTypesAndDigest) {
  const Finished text = run_strata({"inspect", tiny(), "--digest"});
  EXPECT_EQ(text.status, 0);
  EXPECT_THAT(text.out, HasSubstr("token_embd.weight"));
  EXPECT_THAT(text.out, HasSubstr("digest"));
  const json object = json::parse(run_strata({"inspect", tiny(), "--json", "--digest"}).out);
  EXPECT_EQ(object.at("digest").get<std::string>().size(), 32U);
  EXPECT_EQ(object.at("architecture"), "qwen3");
}

TEST_F(Command, PlanLoadsNothingAndSaysWhatGoesWhere) {
  const Finished text = run_strata({"plan", tiny()});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("KV cache"));
  EXPECT_THAT(text.out, HasSubstr("t/s"));
  const json object = json::parse(run_strata({"plan", tiny(), "--json", "-ctk", "q8_0"}).out);
  EXPECT_LE(object.at("bytes").at("weights_mapped"), std::filesystem::file_size(tiny()));
  EXPECT_GT(object.at("prediction").at("decode_tokens_per_second"), 0.0);
  EXPECT_EQ(object.at("devices")[0].at("id"), "cpu:0");
  EXPECT_EQ(object.at("devices")[0].at("short_bytes"), 0);
  const Finished big = run_strata({"plan", tiny(), "-c", "400000000"});
  EXPECT_EQ(big.status, 0) << big.err;
  EXPECT_THAT(big.err, HasSubstr("does not fit"));
}

TEST_F(Command, DevicesVersionHelpAndCompletion) {
  EXPECT_THAT(run_strata({"devices"}).out, HasSubstr("cpu:0"));
  const json devices = json::parse(run_strata({"devices", "--json"}).out);
  EXPECT_EQ(devices.at("backends").size(), 4U);
  EXPECT_GT(devices.at("devices").back().at("read_bytes_per_second"), 0.0);
  const json quick = json::parse(run_strata({"devices", "--json", "--no-measure"}).out);
  EXPECT_TRUE(quick.at("devices").back().at("read_bytes_per_second").is_null());
  EXPECT_THAT(run_strata({"--version"}).out, StartsWith("strata "));
  EXPECT_THAT(run_strata({"--help"}).out, HasSubstr("perplexity"));
  EXPECT_THAT(run_strata({"run", "--help"}).out, HasSubstr("--temp"));
  for (const char* shell : {"bash", "zsh", "fish"})
    EXPECT_THAT(run_strata({"completion", shell}).out, HasSubstr("strata"));
}

// Whatever the machine has, doctor tells and does not fail; what it says is what the others do.
TEST_F(Command, DoctorExplainsEveryBackend) {
  const Finished text = run_strata({"doctor"});
  EXPECT_EQ(text.status, 0) << text.err;
  const Finished as_json = run_strata({"doctor", "--json"});
  ASSERT_EQ(as_json.status, 0) << as_json.err;
  const json object = json::parse(as_json.out);
  ASSERT_EQ(object.at("backends").size(), 4U);
  for (const json& backend : object.at("backends")) {
    SCOPED_TRACE(backend.dump());
    const std::string name = backend.at("backend");
    EXPECT_THAT(text.out, HasSubstr(name));
    EXPECT_EQ(backend.at("usable"), backend.at("reason") == "");
    EXPECT_EQ(backend.at("usable"), !backend.at("devices").empty());
    EXPECT_NE(backend.at("toolkit"), "");
    for (const json& device : backend.at("devices"))
      for (const char* field : {"prompt_products", "few_token_products"}) {
        ASSERT_EQ(device.at(field).is_null(), name != "vulkan") << field;
        if (name != "vulkan") continue;
        EXPECT_THAT(text.out, HasSubstr(device.at(field).get<std::string>()));
      }
    if (backend.at("usable")) continue;
    EXPECT_THAT(text.out, HasSubstr(backend.at("reason").get<std::string>()));
    EXPECT_NE(backend.at("hint"), "");
    const Finished asked = run_strata({"run", tiny(), "-p", "x", "--device", name});
    EXPECT_EQ(asked.status, 5) << asked.err;
    EXPECT_THAT(asked.err, HasSubstr(backend.at("reason").get<std::string>()));
  }
  const json devices = json::parse(run_strata({"devices", "--json", "--no-measure"}).out);
  std::vector<std::string> listed;
  for (const json& device : devices.at("devices")) {
    listed.push_back(device.at("id"));
    EXPECT_TRUE(device.contains("why_without_cooperative_matrices"));
  }
  EXPECT_THAT(listed, testing::Contains(object.at("default_device").get<std::string>()));
}

TEST_F(Command, EnvironmentCountsLessThanTheCommandLine) {
  Start start;
  start.arguments = {"run", tiny(), "-p", "One day", "--temp", "0", "--json", "-q"};
  start.environment = {"STRATA_N_PREDICT=3"};
  EXPECT_EQ(json::parse(run_strata(start).out).at("ids").size(), 3U);
  start.arguments.insert(start.arguments.end(), {"-n", "4"});
  EXPECT_EQ(json::parse(run_strata(start).out).at("ids").size(), 4U);
}

TEST_F(Command, EveryIsaVariantGeneratesTheSameText) {
  std::vector<std::string> texts;
  for (const char* isa :
       {"baseline", "avx2", "avxvnni", "avx512", "avx512bf16", "neon_dotprod", "neon_i8mm"}) {
    Start start;
    start.arguments = {"run", tiny(), "-p", "The robot", "-n", "16", "--temp", "0", "-q"};
    start.environment = {std::string("STRATA_CPU_ISA=") + isa};
    const Finished run = run_strata(start);
    if (run.status == 5 || run.status == 2) continue;  // this CPU, or this build, has not got it
    EXPECT_EQ(run.status, 0) << run.err;
    texts.push_back(run.out);
  }
  ASSERT_FALSE(texts.empty());
  for (const std::string& text : texts) EXPECT_EQ(text, texts.front());
}

TEST_F(Command, StoriesComeOutCharacterForCharacter) {
  STRATA_NEEDS_SHARED();
  const auto stories = shared_root() / "models" / "stories260K";
  const Finished run = run_strata({"run", "-m", (stories / "stories260K-f32.gguf").string(),
                                   "--temp", "0", "-n", "256", "-p", ""});
  std::ifstream in(stories / "expected_greedy_256.txt");
  const std::string expected((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(run.out, expected);
}

TEST_F(Command, VocabularyOnlyFilesTokenizeAndInspect) {
  STRATA_NEEDS_SHARED();
  const std::string file =
      (shared_root() / "fixtures" / "tokenizers" / "ggml-vocab-llama-bpe.gguf").string();
  EXPECT_EQ(run_strata({"inspect", file}).status, 0);
  EXPECT_EQ(run_strata({"tokenize", file, "-p", "Hello", "--ids"}).out, "[128000, 9906]\n");
  EXPECT_EQ(run_strata({"tokenize", file, "-p", "Hello", "--ids", "--no-bos"}).out, "[9906]\n");
  EXPECT_EQ(run_strata({"run", file, "-p", "Hello"}).status, 3);
}

}  // namespace
}  // namespace strata::test
