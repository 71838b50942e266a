// Greedy steps that are started before the host knows the last one's tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/engine/simulated.h"

namespace strata::test {
namespace {

using testing::HasSubstr;

const std::vector<text::TokenId> kPrompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};

// One sequence, of which the host gives the prompt and never a token after it.
struct Follower {
  Runner& runner;
  std::int32_t slot = runner.pool().open();
  std::int32_t length = 0;
  std::vector<text::TokenId> tokens = {};

  void start_prompt() {
    std::vector<BatchToken> batch;
    for (const text::TokenId token : kPrompt) batch.push_back({token, slot, length++});
    batch.back().wants_logits = batch.back().top_only = true;
    runner.pool().extend(slot, length);
    runner.start(batch);
  }
  void start_next() {
    runner.pool().extend(slot, 1);
    const BatchToken next{chosen_token(0), slot, length++, true, true};
    runner.start({&next, 1});
  }
  void finish() {
    runner.finish(
        [this](std::size_t, const LogitsRow& row) { tokens.push_back(row.top()->ids[0]); });
  }
};

TEST(RunAhead, TheDeviceTakesItsOwnTokens) {
  LoadedModel cpu = load_model(source_root() / "models" / "strata-tiny.gguf", engine_options(1), 1);
  const std::vector<text::TokenId> want = greedy(*cpu.runner, kPrompt, 40);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Simulated simulated = simulate(engine_options(1), {0, seed});
    Follower follower{*simulated.runner};
    follower.start_prompt();
    const std::int64_t before = simulated.device->faults().allocations;
    for (int i = 0; i < 39; ++i) {
      ASSERT_TRUE(simulated.runner->may_follow());
      follower.start_next();
      EXPECT_FALSE(simulated.runner->may_follow());
      follower.finish();
    }
    follower.finish();
    EXPECT_EQ(follower.tokens, want) << "seed " << seed;
    EXPECT_EQ(simulated.device->faults().allocations, before);
  }
}

TEST(RunAhead, ARowThatTheNextStepOverwroteIsRefused) {
  Simulated simulated = simulate(engine_options(1));
  Follower follower{*simulated.runner};
  follower.start_prompt();
  follower.start_next();
  simulated.runner->finish(
      [](std::size_t, const LogitsRow& row) { EXPECT_THROW((void)row.all(), std::logic_error); });
  simulated.runner->drop();
  EXPECT_THROW(simulated.runner->finish([](std::size_t, const LogitsRow&) {}), std::logic_error);
}

TEST(RunAhead, OnlyWhatIsInFlightChoosesTokens) {
  Simulated simulated = simulate(engine_options(1));
  Runner& runner = *simulated.runner;
  const std::int32_t slot = runner.pool().open();
  runner.pool().extend(slot, 2);
  const BatchToken nobodys{chosen_token(0), slot, 0, true, true};
  EXPECT_THROW(runner.start({&nobodys, 1}), Error);
  const BatchToken first{5, slot, 0, true, true};
  runner.start({&first, 1});
  const BatchToken beyond{chosen_token(1), slot, 1, true, true};
  EXPECT_THROW(runner.start({&beyond, 1}), Error);
}

// What some requests at once get with and without steps ahead, and how many ops that took.
struct Outcome {
  std::vector<Answer> answers;
  std::int64_t ops = 0;
};

Outcome run(const std::vector<Request>& requests, bool ahead, std::uint64_t seed = 1) {
  RunnerOptions options = engine_options(3);
  options.run_ahead = ahead;
  Simulated simulated = simulate(options, {0, seed});
  simulated.start();
  Outcome outcome;
  std::vector<RequestHandle> handles;
  for (const Request& request : requests) handles.push_back(simulated.engine->submit(request));
  for (RequestHandle& handle : handles) outcome.answers.push_back(collect(handle));
  simulated.engine.reset();
  outcome.ops = simulated.device->faults().ops;
  return outcome;
}

Request request_of(text::TokenId last, std::int64_t max_tokens) {
  Request request = greedy_request({1, 5, 9, last}, max_tokens);
  request.top_log_probabilities = -1;
  return request;
}

void expect_same(const Outcome& got, const Outcome& want) {
  ASSERT_EQ(got.answers.size(), want.answers.size());
  for (std::size_t i = 0; i < want.answers.size(); ++i) {
    EXPECT_EQ(got.answers[i].ids, want.answers[i].ids) << "request " << i;
    EXPECT_EQ(got.answers[i].text, want.answers[i].text) << "request " << i;
    EXPECT_EQ(got.answers[i].finished, want.answers[i].finished) << "request " << i;
  }
}

TEST(RunAhead, AnswersAreThoseWithoutIt) {
  std::vector<Request> requests;
  for (int i = 0; i < 7; ++i) requests.push_back(request_of(20 + i, 5 + 6 * i));
  requests[2].max_tokens = -1;  // until the context is full
  requests[4].sampling = {};    // not greedy: no steps ahead while it runs
  requests[4].sampling.seed = 3;
  const Outcome want = run(requests, false);
  EXPECT_EQ(want.answers[2].ids.size(), 96u + 1 - 4);
  for (std::uint64_t seed = 1; seed <= 4; ++seed) expect_same(run(requests, true, seed), want);
}

// Its end is seen after the next step has been started: that is a step more than without.
TEST(RunAhead, AStepThatNobodyWantsIsForgotten) {
  std::vector<Request> requests{request_of(23, 60)};
  const Outcome whole = run(requests, false);
  const std::int64_t step_ops = (whole.ops - run({request_of(23, 40)}, false).ops) / 20;
  ASSERT_GT(whole.answers[0].text.size(), 20u);
  requests[0].stop = {whole.answers[0].text.substr(15, 4)};
  const Outcome want = run(requests, false);
  EXPECT_EQ(want.answers[0].finished, FinishReason::stop);
  const Outcome got = run(requests, true);
  expect_same(got, want);
  EXPECT_EQ(got.ops, want.ops + step_ops);
  // A limit is known before.
  EXPECT_EQ(run({request_of(23, 40)}, true).ops, run({request_of(23, 40)}, false).ops);
  // The others go on as if it had not been there.
  requests.push_back(request_of(24, 50));
  requests.push_back(request_of(25, 70));
  expect_same(run(requests, true, 2), run(requests, false, 2));
}

TEST(RunAhead, AnEndTokenEndsTheAnswerAsWithoutIt) {
  std::vector<Request> requests;
  for (int i = 0; i < 12; ++i) {
    requests.push_back(request_of(40 + 3 * i, 80));
    requests.back().ignore_eos = false;
  }
  const Outcome want = run(requests, false);
  expect_same(run(requests, true), want);
  EXPECT_TRUE(std::any_of(want.answers.begin(), want.answers.end(), [](const Answer& answer) {
    return answer.finished == FinishReason::stop;
  }));
}

TEST(RunAhead, CancellingOneLeavesTheOthersTheirTokens) {
  const Outcome alone = run({request_of(30, 60)}, false);
  Simulated simulated = simulate(engine_options(3), {0, 7});
  simulated.start();
  RequestHandle kept = simulated.engine->submit(request_of(30, 60));
  RequestHandle gone = simulated.engine->submit(request_of(31, 60));
  for (int i = 0; i < 5; ++i) (void)gone.next();
  gone.cancel();
  EXPECT_EQ(collect(gone).finished, FinishReason::cancelled);
  EXPECT_EQ(collect(kept).ids, alone.answers[0].ids);
  EXPECT_EQ(ask(*simulated.engine, request_of(30, 60)).ids, alone.answers[0].ids);
}

// Whatever fails, and whenever: the request ends with an error that says so, and the engine goes
// on to say it.
TEST(RunAhead, AFailureIsATypedErrorWheneverItComes) {
  const std::int64_t all = run({request_of(30, 6)}, true).ops;
  for (std::int64_t failing = 0; failing < all; failing += 3) {
    for (const bool op : {true, false}) {
      Simulated simulated = simulate(engine_options(3), {0, 5});
      auto& faults = simulated.device->faults();
      if (op)
        faults.failing_op = faults.ops + failing;
      else
        faults.failing_copy = faults.copies + failing / 4;
      simulated.start();
      const Answer answer = ask(*simulated.engine, request_of(30, 8));
      if (answer.finished == FinishReason::length) continue;  // there were fewer copies
      ASSERT_TRUE(answer.error.has_value()) << "failing " << failing;
      EXPECT_EQ(answer.error->code(), ErrorCode::device_missing);
      EXPECT_THAT(answer.error->what(), HasSubstr("failed"));
      const Answer next = ask(*simulated.engine, request_of(30, 8));
      ASSERT_TRUE(next.error.has_value());
      EXPECT_EQ(next.error->code(), ErrorCode::device_missing);
    }
  }
}

}  // namespace
}  // namespace strata::test
