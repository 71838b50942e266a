#include <gmock/gmock.h>

#include <cstring>

#include "backends/vulkan/ops/common.h"
#include "runtime/core/error.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

// sum = sum + one, over `rows` rows of `columns` columns.
class VulkanRecording : public OnVulkan {
 protected:
  void start(std::int64_t rows, std::int64_t columns) {
    desc_ = {DType::F32, Layout::rows, {rows, columns}};
    count_ = static_cast<std::size_t>(rows * columns);
    op_desc_ = {Add{}, {desc_, desc_}, {}, {desc_}};
    op_ = device_->ops()[OpKind::Add].prepare(*device_, op_desc_);
    stream_ = compute();
    sum_ = device_bytes(byte_size(desc_));
    one_ = device_bytes(byte_size(desc_));
    stream_->fill(span(sum_), std::byte{0});
    std::vector<float> ones(count_, 1.0F);
    stream_->copy(span(one_),
                  {reinterpret_cast<std::byte*>(ones.data()), one_.bytes(), MemoryKind::host});
  }
  void TearDown() override {
    recording_.reset();
    stream_.reset();
    sum_ = {};
    one_ = {};
    OnVulkan::TearDown();
  }
  void add_one() {
    const TensorView in[] = {dense_view(sum_.data(), desc_), dense_view(one_.data(), desc_)};
    const TensorView out[] = {in[0]};
    op_.run(*stream_, op_, {in, {}, out}, {});
  }
  std::vector<float> sums() {
    const std::vector<std::byte> bytes = bytes_of(*stream_, span(sum_));
    std::vector<float> values(count_);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

  TensorDesc desc_;
  OpDesc op_desc_;
  PreparedOp op_;
  std::size_t count_ = 0;
  std::unique_ptr<Stream> stream_;
  Buffer sum_;
  Buffer one_;
  std::unique_ptr<Recording> recording_;
};

TEST_F(VulkanRecording, DispatchesSeeEachOther) {
  start(3, 1001);
  for (int i = 0; i < 700; ++i) add_one();  // more than one batch
  EXPECT_THAT(sums(), testing::Each(700.0F));
}

TEST_F(VulkanRecording, AGridMayHaveMoreGroupsThanADimension) {
  start(70'000, 3);
  add_one();
  EXPECT_THAT(sums(), testing::Each(1.0F));
}

TEST_F(VulkanRecording, NothingToDoIsNothingDone) {
  start(1, 1);
  add_one();
  desc_.shape[0] = 0;
  add_one();
  desc_.shape[0] = 1;
  EXPECT_THAT(sums(), testing::ElementsAre(1.0F));
}

TEST_F(VulkanRecording, ReplaysAsOftenAsAsked) {
  start(2, 300);
  ASSERT_TRUE(stream_->can_record());
  add_one();
  const Event before = stream_->record();
  stream_->begin_recording();
  add_one();
  add_one();
  EXPECT_EQ(stream_->record().ticket, before.ticket);
  recording_ = stream_->end_recording();
  EXPECT_THAT(sums(), testing::Each(1.0F)) << "recording ran something";
  for (int i = 0; i < 5; ++i) {
    stream_->replay(*recording_);
    add_one();
  }
  stream_->replay(*recording_);
  stream_->replay(*recording_);  // twice in one submission
  EXPECT_THAT(sums(), testing::Each(1.0F + 5 * 3 + 4));
  // Again while earlier replays may be under way.
  for (int i = 0; i < 50; ++i) {
    stream_->replay(*recording_);
    stream_->flush();
  }
  EXPECT_THAT(sums(), testing::Each(120.0F));
}

// As a decoding step: an upload from pinned memory, ops, and a download, recorded; what varies is
// in memory.
TEST_F(VulkanRecording, CopiesOfPinnedMemoryAreRecorded) {
  start(1, 256);
  const Buffer in = pinned_bytes(sum_.bytes());
  const Buffer out = pinned_bytes(sum_.bytes());
  stream_->begin_recording();
  stream_->copy(span(sum_), span(in));
  add_one();
  stream_->copy(span(out), span(sum_));
  stream_->fill(span(sum_), std::byte{0});
  recording_ = stream_->end_recording();
  for (int step = 0; step < 10; ++step) {
    const std::vector<float> values(count_, static_cast<float>(step));
    std::memcpy(in.data(), values.data(), in.bytes());
    stream_->replay(*recording_);
    stream_->synchronize();
    float last = 0;
    std::memcpy(&last, out.data() + out.bytes() - sizeof(float), sizeof(float));
    EXPECT_EQ(last, static_cast<float>(step + 1));
  }
}

TEST_F(VulkanRecording, WhatCannotBeRecordedIsAnErrorOfTheCaller) {
  start(1, 4);
  std::vector<std::byte> plain(16);
  EXPECT_THROW(stream_->end_recording(), std::logic_error);
  stream_->begin_recording();
  EXPECT_THROW(stream_->begin_recording(), std::logic_error);
  EXPECT_THROW(stream_->copy(span(sum_), span(plain)), std::logic_error);
  EXPECT_THROW(stream_->copy(span(plain), span(sum_)), std::logic_error);
  EXPECT_THROW(stream_->host_task({nullptr, nullptr}), std::logic_error);
  EXPECT_THROW(stream_->synchronize(), std::logic_error);
  stream_.reset();  // a recording that nobody ended
}

}  // namespace
}  // namespace strata::vulkan
