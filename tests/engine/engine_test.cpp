#include "runtime/engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/engine/running.h"

namespace strata::test {
namespace {

using testing::HasSubstr;

std::vector<text::TokenId> some_prompt(std::size_t tokens, unsigned seed, std::int64_t vocabulary) {
  std::mt19937 random(seed);
  std::vector<text::TokenId> ids(tokens);
  for (text::TokenId& id : ids)
    id = static_cast<text::TokenId>(random() % static_cast<std::size_t>(vocabulary));
  return ids;
}

std::int64_t vocabulary(const Running& running) { return running.model->config().vocab; }

void ban_everything(Request& request, std::int64_t vocabulary) {
  for (std::int64_t id = 0; id < vocabulary; ++id)
    request.sampling.logit_bias.emplace_back(static_cast<text::TokenId>(id), -INFINITY);
}

void expect_same(const Answer& got, const Answer& want) {
  EXPECT_EQ(got.ids, want.ids);
  EXPECT_EQ(got.log_probabilities, want.log_probabilities);  // to the last bit
  EXPECT_EQ(got.text, want.text);
  EXPECT_EQ(got.finished, want.finished);
}

TEST(Engine, RequestsTogetherAnswerAsAlone) {
  Running running = start_engine(engine_options(4));
  std::vector<Request> requests;
  for (unsigned i = 0; i < 7; ++i) {  // more than there are slots
    Request request = greedy_request(some_prompt(1 + 11 * i, i, vocabulary(running)), 6 + 3 * i);
    request.top_log_probabilities = static_cast<std::int32_t>(i % 3);
    if (i % 2 == 1) {
      request.sampling = {};
      request.sampling.seed = i;
    }
    requests.push_back(request);
  }
  std::vector<Answer> alone;
  for (const Request& request : requests) alone.push_back(ask(*running.engine, request));
  std::vector<RequestHandle> handles;
  for (const Request& request : requests) handles.push_back(running.engine->submit(request));
  for (std::size_t i = 0; i < handles.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(alone[i].finished, FinishReason::length);
    expect_same(collect(handles[i]), alone[i]);
  }
}

TEST(Engine, ARequestThatFailsFailsAlone) {
  Running running = start_engine(engine_options(3));
  const Request good = greedy_request(some_prompt(20, 1, vocabulary(running)), 24);
  const Answer alone = ask(*running.engine, good);
  Request bad = greedy_request(some_prompt(9, 2, vocabulary(running)), 24);
  ban_everything(bad, vocabulary(running));
  RequestHandle first = running.engine->submit(good);
  RequestHandle broken = running.engine->submit(bad);
  RequestHandle second = running.engine->submit(good);
  const Answer failed = collect(broken);
  EXPECT_EQ(failed.finished, FinishReason::error);
  ASSERT_TRUE(failed.error.has_value());
  EXPECT_EQ(failed.error->code(), ErrorCode::numeric);
  EXPECT_THAT(failed.error->what(), HasSubstr("banned"));
  EXPECT_TRUE(failed.ids.empty());
  expect_same(collect(first), alone);
  expect_same(collect(second), alone);
  expect_same(ask(*running.engine, good), alone);  // and the slot is free again
}

TEST(Engine, CancelEndsARequestWhereverItStands) {
  // Long enough not to end by itself while this thread waits for a CPU.
  Running running = start_engine(engine_options(1, 65536));
  Request endless = greedy_request({1, 2, 3}, 60000);
  RequestHandle active = running.engine->submit(endless);
  RequestHandle queued = running.engine->submit(endless);
  RequestHandle last = running.engine->submit(greedy_request({4, 5}, 3));
  ASSERT_TRUE(active.next().has_value());
  queued.cancel();
  const Answer never_run = collect(queued);  // while `active` still holds the only slot, or after
  EXPECT_EQ(never_run.finished, FinishReason::cancelled);
  EXPECT_TRUE(never_run.ids.empty());
  active.cancel();
  EXPECT_EQ(collect(active).finished, FinishReason::cancelled);
  EXPECT_FALSE(active.next().has_value());
  EXPECT_EQ(collect(last).ids.size(), 3u);
}

// A cancelled request leaves the queue though the one before it waits for a slot that stays taken.
TEST(Engine, CancelReachesPastTheFrontOfTheQueue) {
  Running running = start_engine(engine_options(1, 65536));
  RequestHandle active = running.engine->submit(greedy_request({1}, 60000));
  RequestHandle front = running.engine->submit(greedy_request({2}, 2));
  RequestHandle behind = running.engine->submit(greedy_request({3}, 2));
  behind.cancel();
  EXPECT_EQ(collect(behind).finished, FinishReason::cancelled);
  active.cancel();
  const Answer stopped = collect(active);
  EXPECT_EQ(stopped.finished, FinishReason::cancelled);
  EXPECT_LT(stopped.ids.size(), 60000u);
  EXPECT_EQ(collect(front).finished, FinishReason::length);
}

TEST(Engine, DroppingOrReplacingAHandleCancels) {
  Running running = start_engine(engine_options(1, 4096));
  {
    const RequestHandle dropped = running.engine->submit(greedy_request({1}, 4000));
  }
  RequestHandle handle = running.engine->submit(greedy_request({2}, 4000));
  ASSERT_TRUE(handle.next().has_value());
  handle = running.engine->submit(greedy_request({3}, 2));
  EXPECT_EQ(collect(handle).ids.size(), 2u);  // soon: nobody runs 4000 tokens before it
  EXPECT_FALSE(handle.next().has_value());

  const auto first = std::make_shared<GenerationChannel>();
  const auto second = std::make_shared<GenerationChannel>();
  {
    RequestHandle held(first);
    held = RequestHandle(second);
    EXPECT_TRUE(first->cancelled());
    EXPECT_FALSE(second->cancelled());
  }
  EXPECT_TRUE(second->cancelled());
}

TEST(Engine, FinishReasons) {
  Running running = start_engine(engine_options(2, 40));
  const std::vector<text::TokenId> prompt = some_prompt(10, 3, vocabulary(running));
  const Answer limited = ask(*running.engine, greedy_request(prompt, 7));
  EXPECT_EQ(limited.finished, FinishReason::length);
  EXPECT_EQ(limited.ids.size(), 7u);
  EXPECT_EQ(limited.timings.generated_tokens, 7);
  EXPECT_EQ(limited.timings.prompt_tokens, 10);

  const Answer full = ask(*running.engine, greedy_request(prompt, -1));
  EXPECT_EQ(full.finished, FinishReason::length);
  EXPECT_EQ(full.ids.size(), 31u);  // 40 of context - 10, and the one chosen from the last of them

  const Answer none = ask(*running.engine, greedy_request(prompt, 0));
  EXPECT_EQ(none.finished, FinishReason::length);
  EXPECT_TRUE(none.ids.empty());

  const Answer exact =
      ask(*running.engine, greedy_request(some_prompt(40, 4, vocabulary(running)), -1));
  EXPECT_EQ(exact.finished, FinishReason::length);
  EXPECT_EQ(exact.ids.size(), 1u);
}

TEST(Engine, EndTokensEndUnlessIgnored) {
  Running running = start_engine(engine_options(1));
  const auto ends = running.tokenizer->vocabulary().end_of_generation();
  ASSERT_FALSE(ends.empty());
  Request request = greedy_request({1, 2, 3}, 5);
  request.sampling.logit_bias = {{ends[0], 1000.0F}};
  request.ignore_eos = false;
  const Answer ended = ask(*running.engine, request);
  EXPECT_EQ(ended.finished, FinishReason::stop);
  EXPECT_TRUE(ended.ids.empty());
  request.ignore_eos = true;
  const Answer ignored = ask(*running.engine, request);
  EXPECT_EQ(ignored.finished, FinishReason::length);
  EXPECT_EQ(ignored.ids, std::vector<text::TokenId>(5, ends[0]));
}

TEST(Engine, AStopStringEndsTheAnswerBeforeIt) {
  Running running = start_engine(engine_options(1));
  Request request = greedy_request(running.tokenizer->encode("Once upon a time"), 40);
  const Answer whole = ask(*running.engine, request);
  ASSERT_GT(whole.text.size(), 20u);
  const std::string stop = whole.text.substr(9, 5);
  const std::size_t first = whole.text.find(stop);
  request.stop = {stop};
  const Answer stopped = ask(*running.engine, request);
  EXPECT_EQ(stopped.finished, FinishReason::stop);
  EXPECT_EQ(stopped.text, whole.text.substr(0, first));
  EXPECT_LT(stopped.ids.size(), whole.ids.size());
  request.stop = {"never in the text \x01"};
  expect_same(ask(*running.engine, request), whole);  // what was held comes out at the end
}

TEST(Engine, LogProbabilitiesAreOfTheChosenAndTheBest) {
  Running running = start_engine(engine_options(1));
  Request request = greedy_request({1, 2, 3}, 3);
  request.top_log_probabilities = 4;
  RequestHandle handle = running.engine->submit(request);
  while (const auto event = handle.next()) {
    if (!event->token) continue;
    ASSERT_EQ(event->top.size(), 4u);
    EXPECT_EQ(event->top[0].id, *event->token);
    EXPECT_EQ(event->top[0].log_probability, event->log_probability);
    EXPECT_LT(event->log_probability, 0);
    for (int i = 1; i < 4; ++i)
      EXPECT_GE(event->top[static_cast<std::size_t>(i) - 1].log_probability,
                event->top[static_cast<std::size_t>(i)].log_probability);
  }
}

TEST(Engine, BadRequestsAreRefusedAtOnce) {
  Running running = start_engine(engine_options(1, 40));
  const auto last = static_cast<text::TokenId>(vocabulary(running) - 1);
  std::vector<Request> bad(8, greedy_request({1, 2, 3}, 5));
  bad[0].prompt.clear();
  bad[1].prompt = {1, -1};
  bad[2].prompt = {last + 1};
  bad[3].prompt.assign(41, 1);
  bad[4].top_log_probabilities = last + 2;
  bad[5].sampling.top_p = 2.0F;
  bad[6].sampling.logit_bias = {{last + 1, 1.0F}};
  bad[7].sampling.temperature = NAN;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    SCOPED_TRACE(i);
    try {
      running.engine->submit(bad[i]);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_request) << error.what();
    }
  }
  EXPECT_EQ(ask(*running.engine, greedy_request({last}, 2)).ids.size(), 2u);
}

TEST(Engine, WithoutATokenizerThereAreIdsButNoText) {
  LoadedModel loaded = load_model(source_root() / "models" / "strata-tiny.gguf", engine_options(1));
  Engine engine(std::move(loaded.runner), nullptr);
  const Answer answer = ask(engine, greedy_request({1, 2}, 4));
  EXPECT_EQ(answer.ids.size(), 4u);
  EXPECT_EQ(answer.text, "");
}

TEST(Engine, EndsWithRequestsUnderWay) {
  Running running = start_engine(engine_options(2, 4096));
  std::vector<RequestHandle> handles;
  for (int i = 0; i < 5; ++i) handles.push_back(running.engine->submit(greedy_request({1}, 4000)));
  ASSERT_TRUE(handles[0].next().has_value());
  running.engine.reset();
  for (RequestHandle& handle : handles)
    EXPECT_EQ(collect(handle).finished, FinishReason::cancelled);
}

Request random_request(std::mt19937& random, std::int64_t vocabulary) {
  Request request =
      greedy_request(some_prompt(1 + random() % 70, static_cast<unsigned>(random()), vocabulary),
                     static_cast<std::int64_t>(random() % 12) - 1);
  request.ignore_eos = random() % 2 == 0;
  request.top_log_probabilities = static_cast<std::int32_t>(random() % 4) - 1;
  request.sampling.temperature = static_cast<float>(random() % 3) * 0.5F;
  request.sampling.top_k = static_cast<std::int32_t>(random() % 50);
  request.sampling.repeat_penalty = random() % 2 == 0 ? 1.0F : 1.3F;
  request.sampling.seed = random();
  if (random() % 3 == 0) request.stop = {"the", "e"};
  if (random() % 10 == 0) ban_everything(request, vocabulary);
  return request;
}

TEST(Engine, FiftyRandomRequests) {
  Running running = start_engine(engine_options(4), 2);
  std::mt19937 random(20260104);
  std::vector<RequestHandle> handles;
  std::vector<bool> cancelled;
  for (int i = 0; i < 50; ++i) {
    handles.push_back(running.engine->submit(random_request(random, vocabulary(running))));
    cancelled.push_back(random() % 5 == 0);
    if (cancelled.back()) handles.back().cancel();
  }
  for (std::size_t i = 0; i < handles.size(); ++i) {
    const Answer answer = collect(handles[i]);
    if (!cancelled[i]) {
      EXPECT_NE(answer.finished, FinishReason::cancelled);
    }
    EXPECT_EQ(answer.finished == FinishReason::error, answer.error.has_value());
  }
}

}  // namespace
}  // namespace strata::test
