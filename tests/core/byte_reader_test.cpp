#include "runtime/core/byte_reader.h"

#include <gtest/gtest.h>

#include <array>

namespace strata {
namespace {

constexpr std::array<unsigned char, 12> kBytes = {0x01, 0x02, 0x03, 0x04, 0xff, 0xff,
                                                  0xff, 0xff, 'a',  'b',  'c',  'd'};

ByteReader reader() { return ByteReader(std::as_bytes(std::span(kBytes))); }

TEST(ByteReader, ReadsLittleEndianInOrder) {
  ByteReader in = reader();
  EXPECT_EQ(in.read<std::uint8_t>(), 0x01);
  EXPECT_EQ(in.read<std::uint16_t>(), 0x0302);  // not aligned
  EXPECT_EQ(in.offset(), 3u);
  EXPECT_EQ(in.read<std::int8_t>(), 4);
  EXPECT_EQ(in.read<std::int32_t>(), -1);
  EXPECT_EQ(in.read_text(3), "abc");
  EXPECT_EQ(in.remaining(), 1u);
}

TEST(ByteReader, WhatDoesNotFitConsumesNothing) {
  ByteReader in = reader();
  ASSERT_TRUE(in.read_bytes(9));
  EXPECT_FALSE(in.read<std::uint32_t>());
  EXPECT_FALSE(in.read<double>());
  EXPECT_FALSE(in.read_bytes(4));
  EXPECT_FALSE(in.read_text(~std::uint64_t{0}));
  EXPECT_EQ(in.offset(), 9u);
  EXPECT_EQ(in.read_text(3), "bcd");
  EXPECT_FALSE(in.read<std::uint8_t>());
  EXPECT_EQ(in.read_bytes(0)->size(), 0u);
}

TEST(ByteReader, NothingToRead) {
  ByteReader in({});
  EXPECT_EQ(in.remaining(), 0u);
  EXPECT_FALSE(in.read<std::uint8_t>());
  EXPECT_EQ(in.read_text(0), "");
}

}  // namespace
}  // namespace strata
