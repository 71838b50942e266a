#include "apps/cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <clocale>
#include <map>

#include "runtime/core/error.h"

namespace strata::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Variables = std::map<std::string, std::string>;

Arguments read(std::vector<std::string> words, Variables variables = {}) {
  return parse(words, [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

Error error_of(const std::vector<std::string>& words, const Variables& variables = {}) {
  try {
    read(words, variables);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    return error;
  }
  return Error(ErrorCode::runtime, "nothing", "was thrown");
}

TEST(Parse, ListsAddUpAndReplaceTheDefault) {
  EXPECT_THAT(read({"bench"}).integers(OptionId::bench_prompt), ElementsAre(512));
  const Arguments a = read({"bench", "-p", "1,8-32*2", "-p", "64", "-ctk", "F16,q8_0", "-m", "a,b",
                            "-m", "c", "-pg", "4,2", "-pg", "8,1"});
  EXPECT_THAT(a.integers(OptionId::bench_prompt), ElementsAre(1, 8, 16, 32, 64));
  EXPECT_THAT(a.texts(OptionId::bench_type_k), ElementsAre("f16", "q8_0"));
  EXPECT_THAT(a.texts(OptionId::bench_type_v), ElementsAre("f16"));
  EXPECT_THAT(a.texts(OptionId::models), ElementsAre("a", "b", "c"));
  EXPECT_THAT(a.texts(OptionId::bench_both), ElementsAre("4,2", "8,1"));
  const Arguments b = read({"bench", "-n", "7"}, {{"STRATA_N_GEN", "1,2"}});
  EXPECT_THAT(b.integers(OptionId::bench_generate), ElementsAre(7)) << "not added to the variable";
  EXPECT_THAT(error_of({"bench", "-p", "4-1"}).detail(), HasSubstr("\"4-1\" is not a list"));
  EXPECT_THAT(error_of({"bench", "-ctk", "f16,q9"}).detail(), HasSubstr("\"q9\" is not one of"));
  EXPECT_THAT(error_of({"bench", "-m", "a,,b"}).detail(), HasSubstr("empty part"));
}

TEST(Parse, DefaultsAreLlamaCpps) {
  const Arguments a = read({"run"});
  EXPECT_EQ(a.command(), Command::run);
  EXPECT_EQ(a.number(OptionId::temperature), 0.8);
  EXPECT_EQ(a.integer(OptionId::top_k), 40);
  EXPECT_EQ(a.number(OptionId::top_p), 0.95);
  EXPECT_EQ(a.number(OptionId::min_p), 0.05);
  EXPECT_EQ(a.integer(OptionId::predict), -1);
  EXPECT_EQ(a.integer(OptionId::seed), -1);
  EXPECT_EQ(a.integer(OptionId::repeat_last_n), 64);
  EXPECT_EQ(a.integer(OptionId::batch), 2048);
  EXPECT_EQ(a.integer(OptionId::micro_batch), 512);
  EXPECT_EQ(a.text(OptionId::cache_type_k), "f16");
  EXPECT_TRUE(a.flag(OptionId::escape));
  EXPECT_TRUE(a.flag(OptionId::mmap));
  EXPECT_FALSE(a.flag(OptionId::json));
  EXPECT_FALSE(a.has(OptionId::threads));
  EXPECT_EQ(a.source(OptionId::temperature), Source::standard);
}

TEST(Parse, SizesOfMemory) {
  EXPECT_EQ(read({"run"}).bytes(OptionId::device_memory), 0u);
  EXPECT_FALSE(read({"run"}).has(OptionId::device_memory));
  for (const char* command : {"run", "logits", "perplexity", "plan", "bench"}) {
    const Arguments a = read({command, "--device-mem", "600MiB", "--host-mem=4GiB"});
    EXPECT_EQ(a.bytes(OptionId::device_memory), 600ULL << 20);
    EXPECT_EQ(a.bytes(OptionId::host_memory), 4ULL << 30);
  }
  EXPECT_EQ(read({"plan"}, {{"STRATA_DEVICE_MEM", "1KiB"}}).bytes(OptionId::device_memory), 1024u);
  const Error error = error_of({"run", "--device-mem", "600MB"});
  EXPECT_THAT(error.what(), HasSubstr("--device-mem: \"600MB\" has the unit \"MB\""));
  EXPECT_THAT(error.hint(), HasSubstr("--device-mem BYTES: allocate at most"));
  EXPECT_THAT(error_of({"run", "--device-mem", "-5GiB"}).what(), HasSubstr("less than nothing"));
  EXPECT_THAT(error_of({"run", "--device-mem", "0"}).what(), HasSubstr("less than one byte"));
  EXPECT_THAT(error_of({"run", "--device-mem", "-n"}).what(), HasSubstr("value is missing"));
  EXPECT_THAT(error_of({"run"}, {{"STRATA_HOST_MEM", "x"}}).what(), HasSubstr("STRATA_HOST_MEM"));
}

TEST(Parse, WhereTensorsAreComputed) {
  const Arguments a = read({"run", "-cmoe", "-ncmoe", "3", "-ot", "exps=CPU,blk.1=sim:0",
                            "--override-tensor", "output=CUDA0"});
  EXPECT_TRUE(a.flag(OptionId::cpu_moe));
  EXPECT_EQ(a.integer(OptionId::cpu_moe_layers), 3);
  EXPECT_THAT(a.texts(OptionId::override_tensor),
              ElementsAre("exps=CPU,blk.1=sim:0", "output=CUDA0"));
  EXPECT_THAT(error_of({"run", "-ot", "exps"}).what(), HasSubstr("-ot: \"exps\" names no device"));
  EXPECT_THAT(error_of({"run", "-ncmoe", "-1"}).what(), HasSubstr("-ncmoe: \"-1\""));
  EXPECT_THAT(error_of({"bench", "-cmoe"}).what(), HasSubstr("not an option of bench"));
}

TEST(Parse, OneDashWithSeveralLettersStandsBesideOneLetter) {
  const Arguments a = read({"run", "-t", "3", "-tb", "5", "-c", "64", "-ctk", "q8_0", "-ctv", "f32",
                            "-b", "32", "-ub", "16", "-n", "7"});
  EXPECT_EQ(a.integer(OptionId::threads), 3);
  EXPECT_EQ(a.integer(OptionId::threads_batch), 5);
  EXPECT_EQ(a.integer(OptionId::context), 64);
  EXPECT_EQ(a.text(OptionId::cache_type_k), "q8_0");
  EXPECT_EQ(a.text(OptionId::cache_type_v), "f32");
  EXPECT_EQ(a.integer(OptionId::batch), 32);
  EXPECT_EQ(a.integer(OptionId::micro_batch), 16);
  EXPECT_EQ(a.integer(OptionId::predict), 7);
}

TEST(Parse, ValuesFollowOrStandAfterAnEqualsSign) {
  EXPECT_EQ(read({"run", "--ctx-size=128"}).integer(OptionId::context), 128);
  EXPECT_EQ(read({"run", "--ctx_size", "128"}).integer(OptionId::context), 128);
  EXPECT_EQ(read({"run", "--prompt=a=b"}).text(OptionId::prompt), "a=b");
  EXPECT_EQ(read({"run", "--prompt="}).text(OptionId::prompt), "");
  EXPECT_TRUE(read({"run", "--prompt="}).has(OptionId::prompt));
  EXPECT_EQ(read({"run", "-p", ""}).text(OptionId::prompt), "");
}

TEST(Parse, NegativeNumbersAreValues) {
  const Arguments a = read({"run", "-n", "-1", "-s", "-1", "--temp", "-.5", "--top-n-sigma", "-1"});
  EXPECT_EQ(a.integer(OptionId::predict), -1);
  EXPECT_EQ(a.source(OptionId::predict), Source::command_line);
  EXPECT_EQ(a.integer(OptionId::seed), -1);
  EXPECT_EQ(a.number(OptionId::temperature), -0.5);
}

TEST(Parse, TextsMayLookLikeOptions) {
  EXPECT_EQ(read({"run", "-p", "--temp"}).text(OptionId::prompt), "--temp");
  EXPECT_EQ(read({"run", "-p", "-"}).text(OptionId::prompt), "-");
  EXPECT_EQ(read({"run", "-p", "-h"}).text(OptionId::prompt), "-h");
}

TEST(Parse, TheModelMayStandAlone) {
  EXPECT_EQ(read({"run", "m.gguf", "-n", "1"}).text(OptionId::model), "m.gguf");
  EXPECT_EQ(read({"run", "-n", "1", "m.gguf"}).text(OptionId::model), "m.gguf");
  EXPECT_EQ(read({"inspect", "--", "-odd.gguf"}).text(OptionId::model), "-odd.gguf");
  EXPECT_EQ(read({"plan", "-m", "m.gguf"}).text(OptionId::model), "m.gguf");
  EXPECT_THAT(read({"run", "m.gguf"}).positional(), IsEmpty());
  EXPECT_THAT(error_of({"run", "-m", "a", "b"}).what(),
              HasSubstr("b: the model is given already: a"));
  EXPECT_THAT(error_of({"run", "b", "-m", "a"}).what(),
              HasSubstr("a: the model is given already: b"));
  EXPECT_THAT(error_of({"run", "a", "b"}).what(), HasSubstr("this is number 2"));
  EXPECT_THAT(error_of({"devices", "a"}).what(), HasSubstr("takes 0 words"));
}

TEST(Parse, TheLastOfARepeatedOptionWins) {
  const Arguments a = read({"run", "-n", "1", "--n-predict", "2", "-m", "a", "-m", "b", "--mmap",
                            "--no-mmap", "--no-escape", "-e"});
  EXPECT_EQ(a.integer(OptionId::predict), 2);
  EXPECT_EQ(a.text(OptionId::model), "b");
  EXPECT_FALSE(a.flag(OptionId::mmap));
  EXPECT_TRUE(a.flag(OptionId::escape));
}

TEST(Parse, TextsAddUp) {
  const Arguments a = read({"run", "--stop", "x", "-r", "y", "-l", "3-inf", "-l", "4+1.5"});
  EXPECT_THAT(a.texts(OptionId::stop), ElementsAre("x", "y"));
  EXPECT_THAT(a.texts(OptionId::logit_bias), ElementsAre("3-inf", "4+1.5"));
}

TEST(Parse, IdsTakeAValueInRunAndNoneInTokenize) {
  EXPECT_THAT(read({"run", "--ids", "1,2,3"}).integers(OptionId::ids), ElementsAre(1, 2, 3));
  EXPECT_THAT(read({"logits", "--ids", "[7, 8]"}).integers(OptionId::ids), ElementsAre(7, 8));
  const Arguments a = read({"tokenize", "--ids", "m.gguf"});
  EXPECT_TRUE(a.flag(OptionId::ids_only));
  EXPECT_EQ(a.text(OptionId::model), "m.gguf");
  EXPECT_THAT(error_of({"run", "--ids", "1,,2"}).what(), HasSubstr("--ids: \"1,,2\""));
  EXPECT_THAT(error_of({"run", "--ids", "1,-2"}).what(),
              HasSubstr("-2 is not a whole number of 0"));
  EXPECT_THAT(error_of({"run", "--ids", "-p"}).what(), HasSubstr("value is missing"));
}

TEST(Parse, FlagsTakeAValueOnlyAfterAnEqualsSign) {
  EXPECT_FALSE(read({"run", "--mlock=off"}).flag(OptionId::mlock));
  EXPECT_TRUE(read({"run", "--mlock=Enabled"}).flag(OptionId::mlock));
  EXPECT_TRUE(read({"run", "--no-mmap=0"}).flag(OptionId::mmap));
  EXPECT_THAT(error_of({"run", "--mlock=2"}).what(), HasSubstr("\"2\" is neither on nor off"));
}

TEST(Parse, UnknownOptionsNameTheNearest) {
  const Error slip = error_of({"run", "--tmep", "1"});
  EXPECT_EQ(slip.subject(), "--tmep");
  EXPECT_THAT(slip.hint(), HasSubstr("--temp?"));
  EXPECT_THAT(error_of({"run", "-cttk"}).hint(), HasSubstr("-ctk"));
  EXPECT_THAT(error_of({"run", "--qwertyuiop"}).hint(), HasSubstr("strata run --help"));
  const Error other = error_of({"tokenize", "--temp", "1"});
  EXPECT_STREQ(other.what(), "--temp: not an option of tokenize");
  EXPECT_EQ(other.hint(), "run has it");
  EXPECT_EQ(error_of({"run", "--nope=3"}).subject(), "--nope");
}

TEST(Parse, MissingValues) {
  EXPECT_STREQ(error_of({"run", "-n"}).what(), "-n: the value is missing");
  EXPECT_EQ(error_of({"run", "-n"}).hint(), "-n N");
  EXPECT_STREQ(error_of({"run", "-n", "--temp", "1"}).what(),
               "-n: the value is missing: --temp follows");
  EXPECT_STREQ(error_of({"run", "-p"}).what(), "-p: the value is missing");
  EXPECT_STREQ(error_of({"run", "-ctk"}).what(), "-ctk: the value is missing");
}

TEST(Parse, BadNumbersAreRefusedWithTheRange) {
  EXPECT_STREQ(error_of({"run", "-t", "0"}).what(), "-t: \"0\" is not a whole number of 1 to 4096");
  for (const char* text : {"0", "-1", "1000000", "abc", "1e3", "4 ", " 4", "+4", "4x", "0x4", "4.0",
                           "", "99999999999999999999"})
    EXPECT_EQ(error_of({"run", "-t", text}).subject(), "-t") << '"' << text << '"';
  for (const char* text : {"nan", "inf", "abc", "0,5", "1.0x", "1e400", "1.5", "-0.1", ""})
    EXPECT_EQ(error_of({"run", "--top-p=" + std::string(text)}).subject(), "--top-p") << text;
  EXPECT_EQ(read({"run", "--top-p", "5e-1"}).number(OptionId::top_p), 0.5);
  EXPECT_THAT(error_of({"run", "--temp", "1e39"}).what(), HasSubstr("not a finite number"));
  EXPECT_FALSE(error_of({"run", "-t", "0"}).hint().empty());
}

TEST(Parse, NumbersDoNotDependOnTheLocale) {
  const char* old = std::setlocale(LC_NUMERIC, nullptr);
  const std::string saved = old ? old : "C";
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"})
    if (std::setlocale(LC_NUMERIC, name)) break;
  EXPECT_EQ(read({"run", "--temp", "0.5"}).number(OptionId::temperature), 0.5);
  std::setlocale(LC_NUMERIC, saved.c_str());
}

TEST(Parse, ChoicesNameTheChoices) {
  EXPECT_STREQ(error_of({"run", "-ctk", "q4_0"}).what(),
               "-ctk: \"q4_0\" is not one of f32, f16, bf16, q8_0");
}

TEST(Parse, EmptyFileNamesAndBadBiasesAreRefused) {
  EXPECT_EQ(error_of({"run", "-m", ""}).subject(), "-m");
  for (const char* text :
       {"", "3", "+1", "3+", "3+x", "-3+1", "3*2", "3--1", "99999999999+1", "3+1e39"})
    EXPECT_EQ(error_of({"run", "-l", text}).subject(), "-l") << text;
}

TEST(Parse, TheEnvironmentStandsBetweenCommandLineAndDefault) {
  const Variables variables = {{"STRATA_TEMP", "0.25"},      {"STRATA_TOP_K", "7"},
                               {"STRATA_MLOCK", "enabled"},  {"STRATA_NO_MMAP", "1"},
                               {"STRATA_MODEL", "env.gguf"}, {"STRATA_THREADS", ""}};
  const Arguments a = read({"run", "--top-k", "9"}, variables);
  EXPECT_EQ(a.number(OptionId::temperature), 0.25);
  EXPECT_EQ(a.source(OptionId::temperature), Source::environment);
  EXPECT_EQ(a.integer(OptionId::top_k), 9);
  EXPECT_EQ(a.source(OptionId::top_k), Source::command_line);
  EXPECT_TRUE(a.flag(OptionId::mlock));
  EXPECT_FALSE(a.flag(OptionId::mmap));
  EXPECT_EQ(a.text(OptionId::model), "env.gguf");
  EXPECT_FALSE(a.has(OptionId::threads));
  EXPECT_EQ(read({"run", "own.gguf"}, variables).text(OptionId::model), "own.gguf");
}

TEST(Parse, MalformedEnvironmentIsNamed) {
  EXPECT_STREQ(error_of({"run"}, {{"STRATA_THREADS", "abc"}}).what(),
               "STRATA_THREADS: \"abc\" is not a whole number of 1 to 4096");
  EXPECT_EQ(error_of({"run"}, {{"STRATA_MLOCK", "maybe"}}).subject(), "STRATA_MLOCK");
  EXPECT_EQ(error_of({"run"}, {{"STRATA_NO_MMAP", "maybe"}}).subject(), "STRATA_NO_MMAP");
  // Not of this command, or overridden: not looked at.
  EXPECT_NO_THROW(read({"tokenize"}, {{"STRATA_TEMP", "abc"}}));
  EXPECT_NO_THROW(read({"run", "-t", "1"}, {{"STRATA_THREADS", "abc"}}));
}

TEST(Parse, HelpAndVersion) {
  EXPECT_EQ(read({}).command(), Command::help);
  EXPECT_EQ(read({"--help"}).command(), Command::help);
  EXPECT_EQ(read({"-h"}).command(), Command::help);
  EXPECT_EQ(read({"--version"}).command(), Command::version);
  EXPECT_EQ(read({"version"}).command(), Command::version);
  EXPECT_THAT(read({"help", "run"}).positional(), ElementsAre("run"));
  const Arguments a = read({"run", "x", "-h", "--nonsense"}, {{"STRATA_THREADS", "abc"}});
  EXPECT_EQ(a.command(), Command::run);
  EXPECT_TRUE(a.flag(OptionId::help));
  EXPECT_THAT(error_of({"help", "rnu"}).hint(), HasSubstr("run"));
}

TEST(Parse, CommandsComeFirst) {
  EXPECT_THAT(error_of({"-m", "x"}).what(), HasSubstr("a command must come before"));
  EXPECT_THAT(error_of({"tokenise"}).hint(), HasSubstr("tokenize"));
  EXPECT_THAT(error_of({"xyzzy"}).hint(), HasSubstr("inspect"));
}

TEST(Parse, CommandLinesOfLlamaCppWork) {
  const std::vector<std::vector<std::string>> lines = {
      {"run", "-m", "m.gguf", "-p", "Once upon a time", "-n", "128", "-c", "2048", "-t", "8", "-s",
       "42", "--temp", "0", "-no-cnv"},
      {"run",        "--model",
       "m.gguf",     "--prompt",
       "a\\nb",      "--n-predict",
       "-1",         "--ctx-size",
       "0",          "--top-k",
       "40",         "--top-p",
       "0.9",        "--min-p",
       "0.05",       "--repeat-penalty",
       "1.1",        "--repeat-last-n",
       "-1",         "--no-mmap",
       "--mlock",    "--no-display-prompt",
       "--simple-io"},
      {"run",   "-m",     "m.gguf", "-f",        "p.txt",       "-e",  "--ignore-eos", "-ctk",
       "q8_0",  "-ctv",   "q8_0",   "-fa",       "on",          "-b",  "512",          "-ub",
       "128",   "-tb",    "8",      "-nr",       "--no-warmup", "-l",  "15043-1",      "-r",
       "User:", "--seed", "1",      "--special", "--typical",   "1.0", "--top-nsigma", "-1"},
      {"perplexity", "-m", "m.gguf", "-f", "wiki.test.raw", "-c", "512", "-b", "2048", "--chunks",
       "4"},
      {"tokenize", "-m", "m.gguf", "--ids", "--stdin", "--no-bos", "--no-parse-special",
       "--show-count", "--log-disable", "--no-escape"},
  };
  for (const auto& line : lines) EXPECT_NO_THROW(read(line)) << line[1];
}

TEST(Parse, LogDisableIsQuiet) {
  EXPECT_TRUE(read({"tokenize", "--log-disable"}).flag(OptionId::quiet));
}

TEST(Arguments, AnotherKindIsAnError) {
  const Arguments a = read({"run"});
  EXPECT_THROW(a.flag(OptionId::temperature), Error);
  EXPECT_THROW(a.integer(OptionId::temperature), Error);
  EXPECT_THROW(a.text(OptionId::top_k), Error);
}

TEST(WantsJsonErrors, EvenWhenTheRestIsWrong) {
  const auto none = [](const std::string&) { return std::optional<std::string>(); };
  const auto set = [](const std::string&) { return std::optional<std::string>("json"); };
  using Words = std::vector<std::string>;
  EXPECT_TRUE(wants_json_errors(Words{"x", "--error-format", "json"}, none));
  EXPECT_TRUE(wants_json_errors(Words{"run", "--nope", "--error-format=json"}, none));
  EXPECT_FALSE(wants_json_errors(Words{"run"}, none));
  EXPECT_TRUE(wants_json_errors(Words{"run"}, set));
  EXPECT_FALSE(wants_json_errors(Words{"run", "--error-format", "text"}, set));
}

}  // namespace
}  // namespace strata::cli
