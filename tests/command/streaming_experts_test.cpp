// Mixtures of experts that come when they are chosen, as the user of `strata` meets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/command/stream_runs.h"

namespace strata::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// What stays first is what every token uses; experts come into what is left.
TEST(StreamingExperts, ComeWhenTheyAreChosen) {
  const TempFolder folder;
  const std::string file = (folder.path() / "stats.json").string();
  const std::string want = run_strata(story(tiny_moe())).out;
  const std::string want_logits = logits_of(tiny_moe(), {});
  const std::uint64_t whole = need_of(story(tiny_moe()));
  ASSERT_FALSE(want_logits.empty());
  std::vector<std::int64_t> slots;
  for (const std::uint64_t percent : {90, 70, 50, 30}) {
    const Words memory = {"--device-mem", kib(whole * percent / 100)};
    SCOPED_TRACE(std::to_string(percent) + " % of " + std::to_string(whole));
    const Finished run =
        run_strata(story(tiny_moe()) + memory + Words{"--device", "sim:0", "--stats", file});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, want);
    EXPECT_THAT(run.err, HasSubstr("experts, which come when they are chosen"));
    const json stream = json::parse(read_bytes(file)).at("stream");
    EXPECT_GT(stream.at("expert_misses"), 0);
    slots.push_back(stream.at("expert_slots"));
    EXPECT_EQ(logits_of(tiny_moe(), memory), want_logits);
  }
  EXPECT_GT(slots[0], slots[1]);
  EXPECT_GT(slots[1], slots[2]);
  EXPECT_GT(slots[3], 0);
}

TEST(StreamingExperts, ComeOnTheCpuToo) {
  const json whole = json::parse(run_strata({"plan", tiny_moe(), "--json", "-c", "128"}).out);
  const std::uint64_t need = whole.at("devices")[0].at("need_bytes");
  const TempFolder folder;
  const std::string file = (folder.path() / "stats.json").string();
  for (const char* option : {"--host-mem", "--device-mem"}) {
    const Finished run =
        run_strata(story(tiny_moe()) + Words{option, kib(need * 6 / 10), "--stats", file});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, run_strata(story(tiny_moe())).out);
    EXPECT_GT(json::parse(read_bytes(file)).at("stream").at("expert_misses"), 0) << option;
  }
}

TEST(StreamingExperts, PlanSaysHowManyHaveRoom) {
  const std::uint64_t whole = need_of(story(tiny_moe()));
  const std::uint64_t budget = whole * 7 / 10 / 1024 * 1024;
  const Words arguments = {"plan",     tiny_moe(), "-c",           "128",
                           "--device", "sim:0",    "--device-mem", kib(budget)};
  const json plan = json::parse(run_strata(arguments + Words{"--json"}).out);
  const json& experts = plan.at("stream").at("experts");
  const std::uint64_t slots = experts.at("slots");
  const std::uint64_t bytes = experts.at("device_bytes");
  EXPECT_GE(slots, experts.at("used_by_token")) << "70 % is room for more";
  EXPECT_LT(slots, experts.at("experts"));
  const std::uint64_t need = plan.at("devices").back().at("need_bytes");
  EXPECT_LE(need, budget);
  EXPECT_GT(need + 2 * bytes / slots, budget) << "another would fit";
  EXPECT_EQ(plan.at("tiers").at("streamed").at("bytes"), 0) << "the rest stays";
  const json& prediction = plan.at("prediction");
  EXPECT_GT(prediction.at("tokens_per_second"), 0.0);
  EXPECT_FALSE(prediction.at("binding_link").is_null());
  const json& assumed = prediction.at("experts");
  EXPECT_EQ(assumed.at("assumption"), "uniform routing");
  EXPECT_NEAR(assumed.at("hit_rate").get<double>(),
              static_cast<double>(slots) / experts.at("experts").get<double>(), 0.05);
  EXPECT_GT(assumed.at("sweep_seconds_without_hits"), prediction.at("sweep_seconds"));
  EXPECT_LT(assumed.at("sweep_seconds_with_hits_only"), prediction.at("sweep_seconds"));
  const std::string text = run_strata(arguments).out;
  EXPECT_THAT(text, AllOf(HasSubstr(std::to_string(slots) + " slots in "),
                          HasSubstr("assumed: every expert is chosen as often"),
                          HasSubstr("t/s predicted for uniform routing")));
  Words flags;
  std::istringstream words(plan.at("manual_flags").get<std::string>());
  for (std::string word; words >> word;) flags.push_back(word);
  const json again =
      json::parse(run_strata(Words{"plan", tiny_moe(), "--json", "--device", "sim:0"} + flags).out);
  EXPECT_EQ(again.at("stream").at("experts"), experts) << plan.at("manual_flags");
}

// Hugging Face files have a tensor for each expert.
TEST(StreamingExperts, MayBeTensorsOfTheirOwn) {
  STRATA_NEEDS_SHARED();
  const std::string model = (shared_root() / "fixtures" / "models" / "qwen3moe").string();
  const std::uint64_t whole = need_of({"", model});
  const std::string want = logits_of(model, {});
  EXPECT_FALSE(want.empty());
  EXPECT_EQ(logits_of(model, {"--device-mem", kib(whole * 8 / 10)}), want);
}

// The CPU's layers keep their experts; those of the others come when they are chosen.
TEST(StreamingExperts, OfTheCpusLayersStay) {
  const TempFolder folder;
  const std::string file = (folder.path() / "stats.json").string();
  const Words memory = {"--device-mem", kib(need_of(story(tiny_moe())) * 5 / 10)};
  for (const Words& wish : {Words{"--n-cpu-moe", "1"}, Words{"-ot", "^blk\\.[12]\\.=CPU"}}) {
    const Words arguments = story(tiny_moe()) + memory + Words{"--device", "sim:0"} + wish;
    const Finished run = run_strata(arguments + Words{"--stats", file});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, run_strata(story(tiny_moe())).out);
    EXPECT_THAT(run.err, AllOf(HasSubstr("stream  "), HasSubstr("come when they are chosen")));
    const json stream = json::parse(read_bytes(file)).at("stream");
    EXPECT_GT(stream.at("expert_misses"), 0);
    EXPECT_GT(stream.at("cpu_bytes"), 0);
  }
}

TEST(StreamingExperts, ThatAreTensorsOfTheirOwnComeBesideTheCpusLayers) {
  STRATA_NEEDS_SHARED();
  const std::string model = (shared_root() / "fixtures" / "models" / "qwen3moe").string();
  const std::uint64_t whole = need_of({"", model});
  const std::string want = logits_of(model, {});
  EXPECT_EQ(logits_of(model, {"--device-mem", kib(whole * 5 / 10), "--n-cpu-moe", "1"}), want);
}

// --device with the CPU: it may have layers, if that is faster; the text is the same.
TEST(StreamingExperts, TheCpuMayHelp) {
  for (const std::uint64_t percent : {60, 30, 10}) {
    const Words memory = {"--device-mem", kib(need_of(story(tiny_moe())) * percent / 100)};
    const Finished run = run_strata(story(tiny_moe()) + memory + Words{"--device", "sim:0,cpu"});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, run_strata(story(tiny_moe())).out);
  }
}

// Until experts were counted the plan assumes a hit rate; the statistics have the one that was.
TEST(StreamingExperts, StatisticsHaveTheMeasuredHitRate) {
  const TempFolder folder;
  const std::string file = (folder.path() / "stats.json").string();
  const Words arguments =
      story(tiny_moe()) + Words{"--device",     "sim:0",
                                "--device-mem", kib(need_of(story(tiny_moe())) * 5 / 10),
                                "--stats",      file};
  ASSERT_EQ(run_strata(arguments).status, 0);
  const json stream = json::parse(read_bytes(file)).at("stream");
  const json& experts = stream.at("experts");
  EXPECT_GT(experts.at("hit_rate"), 0.0);
  EXPECT_LE(experts.at("hit_rate"), 1.0);
  EXPECT_GT(experts.at("assumed_hit_rate"), 0.0);
  EXPECT_GT(experts.at("assumed_token_seconds"), 0.0);
  EXPECT_GT(stream.at("predicted_token_seconds"), 0.0);
  EXPECT_GE(stream.at("plan_error"), 0.0);
  const Finished dense =
      run_strata(story(tiny()) + Words{"--device", "sim:0", "--device-mem",
                                       kib(need_of(story(tiny())) * 5 / 10), "--stats", file});
  EXPECT_TRUE(json::parse(read_bytes(file)).at("stream").at("experts").is_null()) << dense.err;
}

// --host-mem is for what stays of experts too.
TEST(StreamingExperts, StayInTheMemoryThatTheyMayHave) {
  const TempFolder folder;
  const std::string file = (folder.path() / "stats.json").string();
  const Words arguments = {"--device", "sim:0", "--device-mem",
                           kib(need_of(story(tiny_moe())) * 4 / 10)};
  const auto plan = [&](const char* host) {
    const Finished run = run_strata(Words{"plan", tiny_moe(), "-c", "128", "--json"} + arguments +
                                    Words{"--host-mem", host});
    EXPECT_EQ(run.status, 0) << run.err;
    return json::parse(run.out).at("stream");
  };
  const json much = plan("64MiB");
  const json little = plan("1MiB");
  EXPECT_EQ(much.at("experts").at("kept_on_host"), much.at("experts").at("experts"));
  EXPECT_LT(little.at("experts").at("kept_on_host"), much.at("experts").at("kept_on_host"));
  EXPECT_LE(little.at("pinned_bytes"), 1 << 20);
  const Finished run =
      run_strata(story(tiny_moe()) + arguments + Words{"--host-mem", "64MiB", "--stats", file});
  EXPECT_EQ(run.out, run_strata(story(tiny_moe())).out);
  const json stream = json::parse(read_bytes(file)).at("stream");
  EXPECT_GT(stream.at("expert_host_hits"), 0);
  EXPECT_LT(stream.at("links")[0].at("bytes"), stream.at("links")[1].at("bytes"))
      << "less from the file than to the device";
}

}  // namespace
}  // namespace strata::test
