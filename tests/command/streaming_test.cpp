// Models larger than the memory they may take, as the user of `strata` meets them.
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

TEST(Streaming, ADeviceThatIsTooSmallGivesTheSameText) {
  for (const std::string& model : {tiny(), tiny_moe()}) {
    const std::string want = run_strata(story(model)).out;
    const std::uint64_t whole = need_of(story(model));
    for (const std::uint64_t percent : {75, 55, 35}) {
      const Finished run = run_strata(
          story(model) + Words{"--device", "sim:0", "--device-mem", kib(whole * percent / 100)});
      SCOPED_TRACE(std::to_string(percent) + " % of " + std::to_string(whole));
      EXPECT_EQ(run.status, 0) << run.err;
      EXPECT_EQ(run.out, want);
      EXPECT_THAT(run.err, HasSubstr("stream  "));
    }
  }
}

TEST(Streaming, NothingStreamsWhereAllFits) {
  const Finished run =
      run_strata(story(tiny()) + Words{"--device", "sim:0", "--device-mem", "1GiB"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, Not(HasSubstr("stream  ")));
  EXPECT_EQ(run.out, run_strata(story(tiny())).out);
}

// The CPU holds what it may and reads the rest of the file again and again.
TEST(Streaming, TheCpuStreamsWhatItMayNotHold) {
  const json whole = json::parse(run_strata({"plan", tiny(), "--json", "-c", "128"}).out);
  const std::uint64_t need = whole.at("devices")[0].at("need_bytes");
  for (const char* option : {"--host-mem", "--device-mem"}) {
    const Finished run = run_strata(story(tiny()) + Words{option, kib(need * 3 / 4)});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_EQ(run.out, run_strata(story(tiny())).out);
    EXPECT_THAT(run.err, HasSubstr("stream  ")) << option;
    const Finished plan =
        run_strata({"plan", tiny(), "--json", "-c", "128", option, kib(need * 3 / 4)});
    EXPECT_EQ(json::parse(plan.out).at("devices")[0].at("short_bytes"), 0);
    EXPECT_THAT(plan.err, Not(HasSubstr("does not fit")));
  }
}

TEST(Streaming, LogitsAreTheSameToTheLastBit) {
  const TempFolder folder;
  const auto logits = [&](const std::string& name, const Words& more) {
    const std::string file = (folder.path() / name).string();
    const Finished run = run_strata(
        Words{"logits", tiny(), "--ids", "1,5,9,17,33,65,129,200", "-o", file, "-c", "128"} + more);
    EXPECT_EQ(run.status, 0) << run.err;
    return read_bytes(file);
  };
  const std::string want = logits("all", {"--device", "sim:0"});
  const std::uint64_t whole = need_of(story(tiny()));
  EXPECT_FALSE(want.empty());
  EXPECT_EQ(logits("some", {"--device", "sim:0", "--device-mem", kib(whole * 7 / 10)}), want);
}

TEST(Streaming, PlanSaysWhatIsWhereAndWhatBinds) {
  const std::uint64_t whole = need_of(story(tiny()));
  const Words arguments = {"plan",     tiny(),  "-c",           "128",
                           "--device", "sim:0", "--device-mem", kib(whole / 2)};
  const Finished run = run_strata(arguments + Words{"--json", "--host-mem", "1200KiB"});
  ASSERT_EQ(run.status, 0) << run.err;
  const json plan = json::parse(run.out);
  EXPECT_GT(plan.at("tiers").at("streamed").at("bytes"), 0);
  const std::int64_t all = plan.at("model").at("layers").get<std::int64_t>();
  std::int64_t layers = 0;
  std::int64_t parts = 0;
  for (const auto& [tier, row] : plan.at("tiers").items()) {
    layers += row.at("layers").get<std::int64_t>();
    parts += row.at("parts_of_layers").get<std::int64_t>();
    EXPECT_EQ(row.at("bytes") > 0,
              row.at("output") || row.at("layers").get<std::int64_t>() +
                                          row.at("parts_of_layers").get<std::int64_t>() >
                                      0);
  }
  // A layer is in one tier or has parts in at least two.
  EXPECT_LE(layers, all);
  EXPECT_GE(parts, 2 * (all - layers));
  std::vector<std::string> links;
  for (const json& link : plan.at("links")) links.push_back(link.at("name"));
  EXPECT_THAT(links, testing::IsSupersetOf({"disk", "upload", "device"}));
  EXPECT_GT(plan.at("prediction").at("tokens_per_second"), 0.0);
  EXPECT_THAT(links, testing::Contains(plan.at("prediction").at("binding_link")));
  EXPECT_GE(plan.at("stream").at("device_slots"), 2);
  EXPECT_LE(plan.at("devices").back().at("need_bytes"), whole / 2);
  EXPECT_THAT(plan.at("manual_flags").get<std::string>(), HasSubstr("--device-mem"));
  const Finished text = run_strata(arguments);
  EXPECT_THAT(text.out, AllOf(HasSubstr("streamed"), HasSubstr("bound by"), HasSubstr("flags")));
}

TEST(Streaming, PlanOfAResidentModelHasTheSameKeys) {
  const json plan = json::parse(run_strata({"plan", tiny(), "--json"}).out);
  EXPECT_TRUE(plan.at("stream").is_null());
  EXPECT_EQ(plan.at("tiers").at("device").at("layers"), plan.at("model").at("layers"));
  EXPECT_EQ(plan.at("tiers").at("streamed").at("bytes"), 0);
  EXPECT_EQ(plan.at("prediction").at("binding_link"), "device");
  EXPECT_GT(plan.at("prediction").at("tokens_per_second"), 0.0);
  EXPECT_THAT(plan.at("manual_flags").get<std::string>(), HasSubstr("--device cpu:0 -c "));
}

TEST(Streaming, TheFlagsOfAPlanAskForIt) {
  const std::uint64_t whole = need_of(story(tiny()));
  const auto plan = [](const Words& more) {
    return json::parse(run_strata(Words{"plan", tiny(), "--json"} + more).out);
  };
  const json first = plan({"-c", "128", "--device", "sim:0", "--device-mem", kib(whole * 7 / 10)});
  Words flags;
  std::istringstream words(first.at("manual_flags").get<std::string>());
  for (std::string word; words >> word;) flags.push_back(word);
  const json again = plan(flags);
  // How much streams, and from where, depends on what was measured just now as well.
  EXPECT_FALSE(again.at("stream").is_null());
  EXPECT_EQ(again.at("tiers").at("cpu"), first.at("tiers").at("cpu"));
  EXPECT_EQ(again.at("model").at("context"), first.at("model").at("context"));
}

TEST(Streaming, StatisticsOfARequest) {
  const TempFolder folder;
  const std::string file = (folder.path() / "stats.json").string();
  const std::uint64_t whole = need_of(story(tiny()));
  const Finished run =
      run_strata(story(tiny()) + Words{"--device", "sim:0", "--device-mem", kib(whole * 5 / 10),
                                       "--host-mem", "600KiB", "--stats", file});
  ASSERT_EQ(run.status, 0) << run.err;
  const std::string text = read_bytes(file);
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << "one line";
  const json stats = json::parse(text);
  const json& stream = stats.at("stream");
  EXPECT_GT(stream.at("units"), 0);
  EXPECT_GT(stream.at("links")[0].at("bytes"), 0) << "disk";
  EXPECT_GT(stream.at("links")[0].at("limit_bytes_per_second"), 0);
  EXPECT_GT(stream.at("links")[0].at("bytes_per_second"), 0);
  EXPECT_GE(stream.at("links")[1].at("bytes"), stream.at("streamed_bytes")) << "upload";
  EXPECT_TRUE(stream.at("links")[2].at("bytes").is_null()) << "nobody counts what kernels read";
  EXPECT_GE(stream.at("plan_error"), 0.0);
  EXPECT_GE(stats.at("minor_faults"), 0);
  const Finished resident = run_strata(story(tiny()) + Words{"--stats", file});
  EXPECT_TRUE(json::parse(read_bytes(file)).at("stream").is_null()) << resident.err;
}

TEST(Streaming, LayersThatAreCountedAreNotStreamed) {
  const std::uint64_t whole = need_of(story(tiny()));
  const Words small = {"--device", "sim:0", "--device-mem", kib(whole * 7 / 10)};
  const Finished all = run_strata(story(tiny()) + small + Words{"-ngl", "all"});
  EXPECT_EQ(all.status, 4) << all.err;
  EXPECT_THAT(all.err, AllOf(HasSubstr("sim:0"), HasSubstr("short"), HasSubstr("may take")));
  EXPECT_EQ(all.out, "");
  const std::string want = run_strata(story(tiny())).out;
  const Finished some = run_strata(story(tiny()) + small + Words{"-ngl", "2"});
  EXPECT_EQ(some.status, 0) << some.err;
  EXPECT_EQ(some.out, want);
  EXPECT_THAT(some.err, AllOf(HasSubstr("cpu:0"), Not(HasSubstr("stream  "))));
  const Finished open = run_strata(story(tiny()) + small + Words{"-ngl", "auto"});
  EXPECT_EQ(open.status, 0) << open.err;
  EXPECT_EQ(open.out, want);
  EXPECT_THAT(open.err, AllOf(HasSubstr("fit on the GPU"), Not(HasSubstr("stream  "))));
}

TEST(Streaming, TensorsGoWhereTheUserSays) {
  const std::string want = run_strata(story(tiny())).out;
  const Words sim = {"--device", "sim:0"};
  const Finished layer = run_strata(story(tiny()) + sim + Words{"-ot", "^blk\\.[01]\\.=CPU"});
  EXPECT_EQ(layer.status, 0) << layer.err;
  EXPECT_EQ(layer.out, want);
  EXPECT_THAT(layer.err, HasSubstr("layers 0-1"));
  const Finished output = run_strata(story(tiny()) + sim + Words{"-ot", "^output=CPU"});
  EXPECT_EQ(output.status, 0) << output.err;
}

TEST(Streaming, OtherCommandsStreamToo) {
  const std::uint64_t whole = need_of(story(tiny()));
  const Words small = {"--device", "sim:0", "--device-mem", kib(whole * 7 / 10)};
  const Finished bench = run_strata(
      Words{"bench", tiny(), "-p", "8", "-n", "2", "-r", "1", "-o", "json", "--no-ceilings"} +
      small);
  EXPECT_EQ(bench.status, 0) << bench.err;
  EXPECT_EQ(json::parse(bench.out).size(), 2U);
  const Words score = {"perplexity", tiny(), "--ids", "1,2,3,4,5,6,7,8,9,10", "-c", "4"};
  const Finished streamed = run_strata(score + small);
  EXPECT_EQ(streamed.status, 0) << streamed.err;
  EXPECT_EQ(streamed.out, run_strata(score).out);
}

TEST(Streaming, WrongWishesHaveTheirExitStatus) {
  struct Case {
    Words more;
    int status;
    const char* says;
  };
  const Case cases[] = {
      {{"--device-mem", "0"}, 2, "less than one byte"},
      {{"--device-mem", "-1GiB"}, 2, "less than nothing"},
      {{"--device-mem", "600MB"}, 2, "KiB, MiB, GiB"},
      {{"--device-mem", "99999999999TiB"}, 2, "more than any memory"},
      {{"--host-mem", "some"}, 2, "--host-mem"},
      {{"--device", "sim:0", "--device-mem", "1KiB"}, 4, "short"},
      {{"--device", "sim:0", "--device-mem", "1MiB", "-c", "100000000"}, 4, "short"},
      {{"-ngl", "all", "--device", "sim:0", "--device-mem", "1KiB"}, 4, "may take 1.0 KiB"},
      {{"-ot", "blk"}, 2, "names no device"},
      {{"-ot", "blk=toaster"}, 2, "toaster"},
      {{"-ot", "blk=cuda:3"}, 2, "which is not chosen"},
      {{"-ot", "blk.(=CPU"}, 2, "no regular expression"},
      {{"-ot", "ffn_up=CPU,ffn_down=sim:0", "--device", "sim:0"}, 2, "layer 0"},
      {{"--n-cpu-moe", "-1"}, 2, "--n-cpu-moe"},
  };
  for (const Case& tested : cases) {
    const Finished run = run_strata(story(tiny()) + tested.more);
    SCOPED_TRACE(testing::PrintToString(tested.more));
    EXPECT_EQ(run.status, tested.status) << run.err;
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, AllOf(HasSubstr("error[E-"), HasSubstr(tested.says)));
  }
}

}  // namespace
}  // namespace strata::test
