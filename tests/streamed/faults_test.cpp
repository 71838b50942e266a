// What goes wrong while weights stream: typed errors, nothing lost, and the next request works.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "runtime/core/error.h"
#include "tests/engine/running.h"
#include "tests/streamed/streamed_models.h"

namespace strata::test {
namespace {

using sim::SimDevice;
using testing::HasSubstr;

std::shared_ptr<const Model> tiny() {
  return Model::load(ModelFile::open(source_root() / "models" / "strata-tiny.gguf"));
}

// A third of the layers each from the file, from pinned memory and resident.
std::vector<Tier> mixed(const Model& model) {
  std::vector<Tier> tiers = same_tier(model, Tier::streamed);
  for (std::size_t i = 0; i < tiers.size(); ++i)
    if (i % 3 > 0) tiers[i] = i % 3 == 1 ? Tier::host : Tier::device;
  return tiers;
}

// Whichever allocation fails, of device or pinned memory: a typed error, everything is given back,
// and the same device serves the next one.
TEST(StreamedFaults, EveryAllocationMayFail) {
  const auto model = tiny();
  const auto want = resident_answers(model).tokens;
  const auto cpu = open_device("cpu", {1});
  SimDevice device(open_device("cpu", {1}), {});
  std::int64_t failing = 0;
  for (;; ++failing) {
    device.faults().allocations = 0;
    device.faults().failing_allocation = failing;
    try {
      Runner runner(model, place_tiers(*model, *cpu, device, mixed(*model)), streamed_options());
      EXPECT_EQ(generate(runner, want.size()), want);
      break;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::out_of_memory) << error.what();
      EXPECT_EQ(error.subject(), "sim:0");
    }
    EXPECT_EQ(device.memory().ours, 0u) << "allocation " << failing;
    EXPECT_EQ(device.pinned_bytes(), 0u) << "allocation " << failing;
  }
  EXPECT_GT(failing, 12);
}

// A kernel or a copy that fails does so on the device, some time later, and so does all that comes
// after it: the device is lost. The step ends with that error, and a Runner made anew works.
void expect_failing(std::atomic<std::int64_t> sim::Faults::* counter,
                    std::atomic<std::int64_t> sim::Faults::* failing) {
  const auto model = tiny();
  const auto want = resident_answers(model).tokens;
  const auto cpu = open_device("cpu", {1});
  SimDevice device(open_device("cpu", {1}), {});
  const Placement placement = place_tiers(*model, *cpu, device, mixed(*model));
  for (const std::int64_t later : {0, 1, 5, 17, 60, 150}) {
    {
      Runner runner(model, placement, streamed_options());
      (void)generate(runner, 2);
      device.faults().*failing = (device.faults().*counter) + later;
      for (int request = 0; request < 2; ++request) {  // a device that is lost stays so
        try {
          (void)generate(runner, 4);
          ADD_FAILURE() << "no error, " << later << " later";
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::device_missing) << error.what();
          EXPECT_EQ(error.subject(), "sim:0");
          EXPECT_THAT(error.what(), HasSubstr("is lost"));
          EXPECT_THAT(error.what(), HasSubstr("failed: a fault that was asked for"));
        }
      }
    }
    EXPECT_EQ(device.memory().ours, 0u);
    EXPECT_EQ(device.pinned_bytes(), 0u);
    device.faults().*failing = -1;
    Runner runner(model, placement, streamed_options());
    EXPECT_EQ(generate(runner, want.size()), want);
  }
}

TEST(StreamedFaults, AFailingOpEndsTheStep) {
  expect_failing(&sim::Faults::ops, &sim::Faults::failing_op);
}

TEST(StreamedFaults, AFailingCopyEndsTheStep) {
  expect_failing(&sim::Faults::copies, &sim::Faults::failing_copy);
}

// What a device was lost for, and what comes in its place.
struct Lost {
  std::shared_ptr<const Model> model = tiny();
  std::unique_ptr<Device> cpu = open_device("cpu", {1});
  SimDevice device{open_device("cpu", {1}), {}};
  Tier tier = Tier::device;

  std::unique_ptr<Runner> runner() {
    return std::make_unique<Runner>(
        model, place_tiers(*model, *cpu, device, same_tier(*model, tier)), streamed_options());
  }
  // Fails in the middle of a request's tokens; another one waits then.
  void lose(Engine& engine, std::vector<Answer>& answers) {
    const Request request = greedy_request(kPrompt, 12);
    EXPECT_EQ(ask(engine, request).ids, resident_answers(model).tokens);
    const std::int64_t of_one = device.faults().ops;  // that request was the first
    device.faults().failing_op = of_one + of_one / 2;
    RequestHandle running = engine.submit(request);
    RequestHandle waiting = engine.submit(request);
    answers = {collect(running), collect(waiting), ask(engine, request)};
  }
};

void expect_lost(const Answer& answer) {
  EXPECT_EQ(answer.finished, FinishReason::error);
  ASSERT_TRUE(answer.error.has_value());
  EXPECT_EQ(answer.error->code(), ErrorCode::device_missing) << answer.error->what();
  EXPECT_EQ(answer.error->subject(), "sim:0");
}

TEST(StreamedFaults, ALostDeviceFailsItsRequestsAndTheReplacementGoesOn) {
  for (const Tier tier : {Tier::device, Tier::streamed}) {
    Lost lost;
    lost.tier = tier;
    int asked = 0;
    Engine engine(lost.runner(), nullptr, Speculation::never, [&](const Error& why) {
      ++asked;
      EXPECT_EQ(why.code(), ErrorCode::device_missing);
      EXPECT_EQ(lost.device.memory().ours, 0u);  // it is given back first
      RunnerOptions options = streamed_options();
      options.context = 48;
      return std::make_unique<Runner>(lost.model, *lost.cpu, options);
    });
    std::vector<Answer> answers;
    lost.lose(engine, answers);
    expect_lost(answers[0]);
    EXPECT_EQ(answers[1].ids, resident_answers(lost.model).tokens);
    EXPECT_EQ(answers[2].ids, answers[1].ids);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(engine.context(), 48);
  }
}

TEST(StreamedFaults, WithoutAReplacementEveryRequestSaysWhichDeviceIsLost) {
  for (const bool fails : {false, true}) {
    Lost lost;
    Engine engine(lost.runner(), nullptr, Speculation::never,
                  [&](const Error&) -> std::unique_ptr<Runner> {
                    if (fails) throw Error(ErrorCode::does_not_fit, "cpu:0", "is 3 MiB short");
                    return nullptr;
                  });
    std::vector<Answer> answers;
    lost.lose(engine, answers);
    const std::int64_t ops = lost.device.faults().ops;
    answers.push_back(ask(engine, greedy_request(kPrompt, 12)));
    for (const Answer& answer : answers) expect_lost(answer);
    EXPECT_EQ(lost.device.faults().ops, ops);  // nobody tries it again
    if (fails) {
      EXPECT_THAT(answers[3].error->what(), HasSubstr("cpu:0: is 3 MiB short"));
    }
  }
}

// Reads fail from one number on, as many as are asked for.
struct ReadFaults {
  std::atomic<std::int64_t> reads{0};
  std::atomic<std::int64_t> first{-1};  ///< -1: none fails
  std::atomic<std::int64_t> count{1};
};

class FailingReader final : public BlockReader {
 public:
  FailingReader(std::unique_ptr<BlockReader> inside, ReadFaults& faults)
      : inside_(std::move(inside)), faults_(faults) {}
  void read(const StreamUnit& unit, std::span<std::byte> slot, std::span<const std::byte*> places,
            std::stop_token stop) override {
    const std::int64_t number = faults_.reads.fetch_add(1);
    const std::int64_t first = faults_.first;
    if (first >= 0 && number >= first && number < first + faults_.count)
      throw Error(ErrorCode::io, "a disk", "fails because it was asked to");
    inside_->read(unit, slot, places, std::move(stop));
  }
  ReaderStats stats() const override { return inside_->stats(); }

 private:
  std::unique_ptr<BlockReader> inside_;
  ReadFaults& faults_;
};

RunnerOptions with_failing_reads(ReadFaults& faults) {
  RunnerOptions options = streamed_options();
  options.stream.wrap_reader = [&faults](std::unique_ptr<BlockReader> inside) {
    return std::make_unique<FailingReader>(std::move(inside), faults);
  };
  return options;
}

void expect_io_error(Runner& runner) {
  try {
    (void)generate(runner, 6);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io) << error.what();
  }
}

// All reads fail for some time: the requests meanwhile fail, those afterwards do not, although
// units were read ahead in vain between them. A single one that fails is read again.
TEST(StreamedFaults, AFailingReadFailsTheRequestAlone) {
  const auto model = tiny();
  const auto want = resident_answers(model).tokens;
  for (const char* name : {"cpu", "sim:0"}) {
    const auto cpu = open_device("cpu", {1});
    const auto device = open_device(name, {1});
    Device& where = std::string_view(name) == "cpu" ? *cpu : *device;
    ReadFaults faults;
    Runner runner(model, place_tiers(*model, *cpu, where, same_tier(*model, Tier::streamed)),
                  with_failing_reads(faults));
    EXPECT_EQ(generate(runner, want.size()), want);
    for (const std::int64_t later : {0, 1, 3, 40, 90}) {
      for (const std::int64_t count : {1, 1000000}) {
        SCOPED_TRACE(fmt::format("{}: {} reads from {} later", name, count, later));
        faults.count = count;
        faults.first = faults.reads + later;
        if (count > 1) {
          expect_io_error(runner);
          expect_io_error(runner);
          faults.first = -1;
        }
        EXPECT_EQ(generate(runner, want.size()), want);
      }
    }
  }
}

TEST(StreamedFaults, TheEngineGoesOnAfterAFailingRead) {
  const auto model = tiny();
  const auto cpu = open_device("cpu", {1});
  ReadFaults faults;
  auto runner = std::make_unique<Runner>(
      model, place_tiers(*model, *cpu, *cpu, same_tier(*model, Tier::streamed)),
      with_failing_reads(faults));
  Engine engine(std::move(runner), nullptr);
  const Request request = greedy_request(kPrompt, 12);
  const Answer before = ask(engine, request);
  EXPECT_EQ(before.ids, resident_answers(model).tokens);
  faults.count = 1000000;
  faults.first = faults.reads + 30;
  const Answer failed = ask(engine, request);
  EXPECT_EQ(failed.finished, FinishReason::error);
  ASSERT_TRUE(failed.error.has_value());
  EXPECT_EQ(failed.error->code(), ErrorCode::io);
  faults.first = -1;
  EXPECT_EQ(ask(engine, request).ids, before.ids);
}

TEST(StreamedFaults, AFailingReadOfPinnedWeightsFailsTheLoad) {
  const auto model = tiny();
  const auto cpu = open_device("cpu", {1});
  SimDevice device(open_device("cpu", {1}), {});
  ReadFaults faults;
  faults.first = 2;
  EXPECT_THROW(Runner(model, place_tiers(*model, *cpu, device, same_tier(*model, Tier::host)),
                      with_failing_reads(faults)),
               Error);
  EXPECT_EQ(device.memory().ours, 0u);
  EXPECT_EQ(device.pinned_bytes(), 0u);
}

// A file that is cut short, or replaced, while a model streams from it: requests fail, the process
// and other models go on.
class ChangedFile : public testing::TestWithParam<ReadMethod> {};

TEST_P(ChangedFile, FailsRequestsAndNothingElse) {
  const auto original = source_root() / "models" / "strata-tiny.gguf";
  const std::filesystem::path path =
      testing::TempDir() + fmt::format("strata-changed-{}.gguf", method_name(GetParam()));
  std::filesystem::copy_file(original, path, std::filesystem::copy_options::overwrite_existing);
  const auto model = Model::load(ModelFile::open(path));
  const auto want = resident_answers(tiny()).tokens;
  const auto cpu = open_device("cpu", {1});
  const auto device = open_device("sim:0", {1});
  RunnerOptions options = streamed_options();
  options.stream.method = GetParam();
  Runner runner(model, place_tiers(*model, *cpu, *device, same_tier(*model, Tier::streamed)),
                options);
  EXPECT_EQ(generate(runner, want.size()), want);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  expect_io_error(runner);
  std::filesystem::copy_file(original, path, std::filesystem::copy_options::overwrite_existing);
  expect_io_error(runner);  // it may be another model by now
  Runner other(tiny(), *cpu, streamed_options());
  EXPECT_EQ(generate(other, want.size()), want);
  std::filesystem::remove(path);
}

INSTANTIATE_TEST_SUITE_P(Streamed, ChangedFile,
                         testing::Values(ReadMethod::mapped, ReadMethod::buffered,
                                         ReadMethod::direct),
                         [](const auto& tested) { return std::string(method_name(tested.param)); });

}  // namespace
}  // namespace strata::test
