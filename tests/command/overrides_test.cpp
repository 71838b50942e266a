// Where -ot, --cpu-moe and --n-cpu-moe put a model, as the user of `strata` meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/command/stream_runs.h"

namespace strata::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// As in llama.cpp: the CPU has the experts, or what a pattern names, the device the attention with
// its cache.
TEST(Overrides, HalvesOfLayersGoWhereTheUserSays) {
  const std::string want = run_strata(story(tiny_moe())).out;
  const Words sim = {"--device", "sim:0"};
  const Words wishes[] = {{"--cpu-moe"},
                          {"--n-cpu-moe", "1"},
                          {"-ot", "ffn_.*=CPU"},
                          {"-ot", "blk\\.0\\.attn_.*=CPU"},
                          {"--cpu-moe", "-ngl", "2"},
                          {"-ot", "blk\\.(1|2)\\.ffn_.*=CPU", "-ngl", "auto"}};
  for (const Words& wish : wishes) {
    SCOPED_TRACE(testing::PrintToString(wish));
    const Finished run = run_strata(story(tiny_moe()) + sim + wish);
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, want);
    EXPECT_THAT(run.err, Not(HasSubstr("names"))) << "all matrices were named";
  }
  const Finished some = run_strata(story(tiny_moe()) + sim + Words{"-ot", "ffn_up=CPU"});
  EXPECT_EQ(some.out, want);
  EXPECT_THAT(some.err, AllOf(HasSubstr("halves of layers follow"), HasSubstr("attention of")));
}

TEST(Overrides, PlansSayWhichHalvesAreWhere) {
  const auto plan = [](const Words& more) {
    return json::parse(
        run_strata(Words{"plan", tiny_moe(), "--json", "-c", "128", "--device", "sim:0"} + more)
            .out);
  };
  const json none = plan({});
  const json one = plan({"--n-cpu-moe", "1"});
  EXPECT_EQ(one.at("tiers").at("cpu").at("feed_forward"), 1);
  EXPECT_EQ(one.at("tiers").at("device").at("attention"), 1);
  EXPECT_EQ(one.at("tiers").at("cpu").at("layers"), 0);
  const json all = plan({"--cpu-moe"});
  const json layers = none.at("model").at("layers");
  EXPECT_EQ(all.at("tiers").at("cpu").at("feed_forward"), layers);
  EXPECT_EQ(all.at("tiers").at("device").at("attention"), layers);
  EXPECT_EQ(all.at("bytes").at("kv"), none.at("bytes").at("kv"));
  const auto sim_need = [](const json& object) {
    for (const json& row : object.at("devices"))
      if (row.at("id") == "sim:0") return row.at("need_bytes").get<std::uint64_t>();
    return std::uint64_t{0};
  };
  EXPECT_LT(sim_need(all), sim_need(one));
  EXPECT_LT(sim_need(one), sim_need(none));
  EXPECT_GT(sim_need(all), none.at("bytes").at("kv").get<std::uint64_t>());
  EXPECT_GT(all.at("prediction").at("tokens_per_second"), 0.0);
  ASSERT_EQ(all.at("links").size(), 2U);
  // Its flags ask for it.
  Words flags;
  std::istringstream words(all.at("manual_flags").get<std::string>());
  for (std::string word; words >> word;) {
    std::erase(word, '\'');
    flags.push_back(word);
  }
  EXPECT_THAT(flags, testing::Contains("-ot"));
  const json again = json::parse(run_strata(Words{"plan", tiny_moe(), "--json"} + flags).out);
  EXPECT_EQ(again.at("tiers"), all.at("tiers"));
  const Finished text = run_strata({"plan", tiny_moe(), "--device", "sim:0", "--cpu-moe"});
  EXPECT_THAT(text.out, AllOf(HasSubstr("attention of"), HasSubstr("feed-forward of"),
                              HasSubstr("sim:0, 1024 tokens")));
}

// Less memory than the attention takes: it streams, the experts are the CPU's all the same.
TEST(Overrides, WhatIsLeftOnTheDeviceStreams) {
  const std::string want = run_strata(story(tiny_moe())).out;
  const Words sim = {"-c", "128", "--device", "sim:0", "--cpu-moe"};
  const json whole = json::parse(run_strata(Words{"plan", tiny_moe(), "--json"} + sim).out);
  const Words memory = {"--device-mem",
                        kib(whole.at("devices")[0].at("need_bytes").get<std::uint64_t>() * 6 / 10)};
  const Finished run = run_strata(story(tiny_moe()) + sim + memory);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, want);
  EXPECT_THAT(run.err, AllOf(HasSubstr("stream  "), Not(HasSubstr("come when they are chosen"))));
  const json plan = json::parse(run_strata(Words{"plan", tiny_moe(), "--json"} + sim + memory).out);
  const json& tiers = plan.at("tiers");
  EXPECT_EQ(tiers.at("cpu").at("feed_forward"), plan.at("model").at("layers"));
  EXPECT_GT(tiers.at("streamed").at("bytes").get<std::int64_t>() +
                tiers.at("host").at("bytes").get<std::int64_t>(),
            0);
  EXPECT_THAT(plan.at("manual_flags").get<std::string>(), HasSubstr(")\\.ffn_=CPU'"));
}

TEST(Overrides, OnVulkanTheTextIsTheSame) {
  const std::string want = run_strata(story(tiny_moe())).out;
  const Finished run = run_strata(story(tiny_moe()) + Words{"--device", "vulkan:0", "--cpu-moe"});
  if (run.err.find("vulkan:0") == std::string::npos || run.status == 5)
    GTEST_SKIP() << "SKIP: no Vulkan device";
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, want);
}

TEST(Overrides, ThatContradictEachOtherAreOneError) {
  const Words sim = {"--device", "sim:0"};
  const Finished half =
      run_strata(story(tiny_moe()) + sim + Words{"-ot", "ffn_up=CPU,ffn_down=sim:0"});
  EXPECT_EQ(half.status, 2) << half.err;
  EXPECT_THAT(half.err, HasSubstr("the feed-forward network of layer 0"));
  const Finished two = run_strata(story(tiny_moe()) + sim + Words{"-ot", "attn_=CPU,ffn_=sim:0"});
  EXPECT_EQ(two.status, 0) << two.err;
}

}  // namespace
}  // namespace strata::test
