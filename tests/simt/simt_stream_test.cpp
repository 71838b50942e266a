// The Stream of CUDA and HIP, on simt-host: events, host tasks, recordings, errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "tests/simt/simt_run.h"

namespace strata::simt_host {
namespace {

using testing::HasSubstr;

void add_to(int* value, int amount) {
  if (thread_x() == 0) *value += amount;
}

TEST(SimtStream, EventsAreTicketsOfARing) {
  Bench bench(32);
  const auto other = bench.device->open_stream(StreamRole::upload);
  Event first;
  for (int i = 0; i < 200; ++i) {  // more than there are events in the ring
    const Event event = bench.stream->record();
    if (i == 0) first = event;
    EXPECT_EQ(event.stream, bench.stream.get());
    EXPECT_EQ(event.ticket, static_cast<std::uint64_t>(i + 1));
    other->wait(event);
  }
  other->wait(first);
  other->wait({});
  bench.stream->wait(bench.stream->record());
  EXPECT_TRUE(bench.stream->reached(first.ticket));
  EXPECT_TRUE(bench.stream->reached(200));
}

TEST(SimtStream, HostTasksRunInOrder) {
  Bench bench(32);
  std::vector<int> seen;
  int value = 0;
  struct Context {
    std::vector<int>* seen;
    int* value;
  } context{&seen, &value};
  const HostTask task{[](void* data) {
                        auto& c = *static_cast<Context*>(data);
                        c.seen->push_back(*c.value);
                      },
                      &context};
  for (int i = 0; i < 3; ++i) {
    bench.stream->host_task(task);
    launch(*bench.stream, add_to, {}, 32, 0, &value, 5);
  }
  bench.stream->synchronize();
  EXPECT_EQ(seen, (std::vector<int>{0, 5, 10}));
}

TEST(SimtStream, WhatAHostTaskThrowsSurfacesAtSynchronize) {
  Bench bench(32);
  const auto fail = [](void* what) {
    throw Error(ErrorCode::network, "peer", *static_cast<const char**>(what));
  };
  const char* texts[] = {"first", "second"};
  for (const char*& text : texts) bench.stream->host_task({fail, &text});
  EXPECT_EQ(error_of([&] { bench.stream->synchronize(); }), "peer: first");
  EXPECT_NO_THROW(bench.stream->synchronize());
}

TEST(SimtStream, ARecordedStepRunsOnlyWhenItIsReplayed) {
  Bench bench(64);
  ASSERT_TRUE(bench.stream->can_record());
  int value = 0;
  const Buffer copied = bench.device->allocate(sizeof(int), MemoryKind::device);
  auto* copy = reinterpret_cast<int*>(copied.data());
  const Event before = bench.stream->record();
  bench.stream->begin_recording();
  launch(*bench.stream, add_to, {}, 64, 0, &value, 3);
  bench.stream->copy({copied.data(), sizeof(int), MemoryKind::device},
                     {reinterpret_cast<std::byte*>(&value), sizeof(int), MemoryKind::pinned});
  EXPECT_EQ(bench.stream->record().ticket, before.ticket);
  const auto recording = bench.stream->end_recording();
  EXPECT_EQ(value, 0);
  bench.stream->replay(*recording);
  value += 100;
  bench.stream->replay(*recording);
  bench.stream->synchronize();
  EXPECT_EQ(value, 106);
  EXPECT_EQ(*copy, 106);
}

TEST(SimtStream, WhatCannotBeRecordedSaysSo) {
  Bench bench(32);
  const Buffer buffer = bench.device->allocate(8, MemoryKind::device);
  std::byte host[8] = {};
  EXPECT_THAT(error_of([&] { bench.stream->end_recording(); }), HasSubstr("no recording"));
  bench.stream->begin_recording();
  EXPECT_THAT(error_of([&] {
                bench.stream->copy({buffer.data(), 8, MemoryKind::device},
                                   {host, 8, MemoryKind::host});
              }),
              HasSubstr("not pinned cannot be recorded"));
  EXPECT_THAT(error_of([&] { bench.stream->begin_recording(); }), HasSubstr("cannot be recorded"));
  EXPECT_THAT(error_of([&] { bench.stream->host_task({[](void*) {}, nullptr}); }),
              HasSubstr("cannot be recorded"));
  EXPECT_NE(bench.stream->end_recording(), nullptr);
  bench.stream->begin_recording();  // and the stream goes while it records
}

TEST(SimtStream, AnAsynchronousErrorSurfacesAtSynchronizeAndDestructorsStayQuiet) {
  Bench bench(32);
  machine_of(*bench.device).failing_launch = 1;
  int value = 0;
  const Buffer held = bench.device->allocate(100, MemoryKind::device);
  launch(*bench.stream, add_to, {}, 32, 0, &value, 1);
  EXPECT_NO_THROW(launch(*bench.stream, add_to, {}, 32, 0, &value, 1));
  try {
    bench.stream->synchronize();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::runtime);
    EXPECT_THAT(error.what(), HasSubstr("work that was enqueued before: a kernel failed"));
    EXPECT_EQ(error.subject(), to_string(bench.device->info().id));
  }
  EXPECT_EQ(value, 1);
  EXPECT_THROW(bench.stream->record(), Error);
}

TEST(SimtStream, RecordingsMayOutliveTheirStream) {
  auto bench = std::make_unique<Bench>(32);
  bench->stream->begin_recording();
  const auto recording = bench->stream->end_recording();
  bench->stream.reset();
  const auto another = bench->device->open_stream(StreamRole::compute);
  EXPECT_NO_THROW(another->replay(*recording));
}

}  // namespace
}  // namespace strata::simt_host
