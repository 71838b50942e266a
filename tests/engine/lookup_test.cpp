// Prompt lookup: what is proposed, whether it pays, and that answers do not change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/engine/lookup_draft.h"
#include "tests/engine/running.h"

namespace strata::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<text::TokenId> draft(const std::vector<text::TokenId>& tokens, std::size_t room = 8) {
  const auto found = lookup_draft(tokens, room);
  return {found.begin(), found.end()};
}

TEST(LookupDraft, ProposesWhatFollowedTheSameTokens) {
  EXPECT_THAT(draft({1, 2, 3, 4, 9, 1, 2, 3}), ElementsAre(4, 9, 1, 2, 3));
  EXPECT_THAT(draft({1, 2, 3, 4, 9, 1, 2, 3}, 2), ElementsAre(4, 9));
  EXPECT_THAT(draft({5, 1, 2, 7, 8, 1, 2}), ElementsAre(7, 8, 1, 2));
  EXPECT_THAT(draft({1, 2, 3, 4, 5}), IsEmpty());
  EXPECT_THAT(draft({2, 7, 8, 2}), IsEmpty()) << "one token is no match";
  EXPECT_THAT(draft({1, 2, 3, 1, 2}, 0), IsEmpty());
  EXPECT_THAT(draft({4, 4}), IsEmpty());
  EXPECT_THAT(draft({}), IsEmpty());
}

TEST(LookupDraft, TheLongestMatchCountsAndOfEqualOnesTheLatest) {
  EXPECT_THAT(draft({7, 1, 2, 3, 50, 8, 2, 3, 60, 7, 1, 2, 3}, 1), ElementsAre(50));
  EXPECT_THAT(draft({1, 2, 30, 1, 2, 40, 1, 2}, 1), ElementsAre(40));
  EXPECT_THAT(draft({6, 6, 6, 6, 6, 6}, 3), ElementsAre(6)) << "a run continues";
}

// Tokens per second decide; the kind that lost is tried again now and then.
TEST(DraftGovernor, KeepsWhatIsFaster) {
  for (const bool pays : {true, false}) {
    DraftGovernor governor;
    int drafted = 0;
    for (int step = 0; step < 400; ++step) {
      const bool draft = governor.wants_draft();
      drafted += draft ? 1 : 0;
      if (draft)
        governor.record(7, pays ? 4 : 1, 1.5);
      else
        governor.record(0, 1, 1.0);
    }
    if (pays)
      EXPECT_GT(drafted, 350);
    else
      EXPECT_LT(drafted, 50);
    EXPECT_GT(drafted, 3);
    EXPECT_LT(drafted, 400);
  }
}

TEST(DraftGovernor, NoticesAChange) {
  DraftGovernor governor;
  int late = 0;
  for (int step = 0; step < 600; ++step) {
    const bool draft = governor.wants_draft();
    if (step >= 500 && draft) ++late;
    if (draft)
      governor.record(7, step < 200 ? 1 : 5, 1.5);
    else
      governor.record(0, 1, 1.0);
  }
  EXPECT_GT(late, 80);
}

Running start(Speculation speculation, std::int32_t sequences = 1) {
  RunnerOptions options = engine_options(sequences);
  LoadedModel loaded = load_model(source_root() / "models" / "strata-tiny.gguf", options, 1);
  Running running;
  running.device = std::move(loaded.device);
  running.model = loaded.model;
  running.tokenizer = load_tokenizer(loaded.model->file().metadata());
  running.engine =
      std::make_unique<Engine>(std::move(loaded.runner), running.tokenizer, speculation);
  return running;
}

// Greedy and sampled, to the limit and to the end of the context, one and several at a time.
TEST(Speculation, AnswersAreThoseWithoutIt) {
  Running plain = start(Speculation::never);
  Running fast = start(Speculation::always, 3);
  std::vector<Request> requests;
  for (unsigned i = 0; i < 12; ++i) {
    // Text that repeats itself, so that there is something to look up.
    std::vector<text::TokenId> prompt;
    for (unsigned t = 0; t < 8 + i; ++t) prompt.push_back(static_cast<text::TokenId>(40 + t % 5));
    Request request = greedy_request(prompt, i % 4 == 3 ? 200 : 1 + 5 * i);
    request.top_log_probabilities = 2;
    if (i % 4 == 2) request.sampling.logit_bias = {{41, 1000.0f}};  // says it again and again
    if (i % 3 == 1) {
      request.sampling = {};
      request.sampling.temperature = 0.3f;
      request.sampling.repeat_penalty = 1.1f;
      request.sampling.seed = i;
    }
    requests.push_back(request);
  }
  std::vector<RequestHandle> handles;
  for (const Request& request : requests) handles.push_back(fast.engine->submit(request));
  std::int64_t drafted = 0;
  std::int64_t accepted = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    const Answer want = ask(*plain.engine, requests[i]);
    const Answer got = collect(handles[i]);
    EXPECT_EQ(got.ids, want.ids);
    EXPECT_EQ(got.log_probabilities, want.log_probabilities);
    EXPECT_EQ(got.text, want.text);
    EXPECT_EQ(got.finished, want.finished);
    EXPECT_EQ(want.timings.drafted_tokens, 0);
    drafted += got.timings.drafted_tokens;
    accepted += got.timings.accepted_tokens;
  }
  EXPECT_GT(accepted, 10);
  EXPECT_LE(accepted, drafted);
}

}  // namespace
}  // namespace strata::test
