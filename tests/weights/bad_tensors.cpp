#include "tests/weights/bad_files.h"

namespace strata::test {
namespace {

using namespace std::string_literals;

constexpr std::uint32_t kF32 = 0, kQ4_0 = 2, kQ8_0 = 8, kQ4_K = 12, kI64 = 27;

std::uint64_t power(int exponent) { return std::uint64_t{1} << exponent; }

/// A file whose only tensor is wrong.
BadFile lone(std::string name, std::string wanted, TensorSpec spec) {
  if (spec.data.empty()) spec.data = std::string(512, '\0');
  return bad_model(std::move(name), std::move(wanted), GgufBuilder().tensor(std::move(spec)));
}

std::vector<BadFile> bad_dimensions() {
  auto dims = [](std::string name, std::string wanted, std::vector<std::uint64_t> sizes,
                 std::uint32_t type) {
    return lone(std::move(name), std::move(wanted), {.dims = std::move(sizes), .type = type});
  };
  const std::string many = "have more than 9223372036854775807 elements";
  return {
      lone("n_dims_0", "tensor \"t\": n_dims is 0 at offset", {.n_dims = 0}),
      lone("n_dims_5", "n_dims is 5 at offset", {.dims = {32, 1, 1, 1, 1}}),
      lone("n_dims_max", "n_dims is 4294967295", {.n_dims = ~0u}),
      dims("dim_0", "dimension 0 is 0 at offset", {0}, kF32),
      dims("dim_1_is_0", "dimension 1 is 0 at offset", {32, 0}, kF32),
      dims("dim_3_is_0", "dimension 3 is 0", {32, 1, 1, 0}, kF32),
      dims("dim_minus_1", "dimension 0 is -1", {~std::uint64_t{0}}, kF32),
      dims("dim_2_63", "dimension 0 is -9223372036854775808", {power(63)}, kF32),
      dims("dim_2_62", "elements of type F32 need over 2^64 bytes", {power(62)}, kF32),
      dims("dim_2_62_less_1", "4611686018427387903 elements of type F32", {power(62) - 1}, kF32),
      dims("dim_2_63_less_1", "need over 2^64 bytes", {power(63) - 1}, kF32),
      dims("product_wraps_to_0", many, {power(32), power(32)}, kF32),
      dims("product_wraps_to_0_of_3", many, {power(32), 2, power(62)}, kF32),
      dims("product_is_2_63", many, {power(32), power(31)}, kF32),
      dims("product_wraps_to_1", many, {7, 0x6DB6DB6DB6DB6DB7ull}, kF32),
      dims("product_of_4_wraps", many, {power(16), power(16), power(16), power(16)}, kF32),
      dims("bytes_wrap_to_0", "need over 2^64 bytes", {power(61)}, kI64),
      dims("bytes_wrap_to_8", "need over 2^64 bytes", {power(61) + 1}, kI64),
      dims("q4_0_4_9e18", "elements of type Q4_0 need", {4899916394579099648ull}, kQ4_0),
      dims("q4_0_largest", "need 5188146770730811374 bytes", {power(63) - 32}, kQ4_0),
      dims("bytes_over_file", "1000 elements of type F32 need 4000 bytes", {1000}, kF32),
      dims("q8_0_33_columns",
           "dimension 0 is 33, not a multiple of the 32 elements of a Q8_0 block", {33}, kQ8_0),
      dims("q8_0_16_columns", "dimension 0 is 16, not a multiple", {16, 2}, kQ8_0),
      dims("q4_k_128_columns", "not a multiple of the 256 elements of a Q4_K block", {128, 2},
           kQ4_K),
      dims("mxfp4_48_columns", "not a multiple of the 32 elements of a MXFP4 block", {48}, 39),
      dims("nvfp4_32_columns", "not a multiple of the 64 elements of a NVFP4 block", {32}, 40),
  };
}

std::vector<BadFile> bad_types() {
  auto type = [](std::uint32_t id, std::string wanted) {
    return lone("type_" + std::to_string(id), "tensor \"t\": type is " + std::move(wanted),
                {.type = id});
  };
  return {
      type(4, "Q4_2 (id 4), a repacked type that GGUF removed"),
      type(5, "Q4_3 (id 5)"),
      type(31, "Q4_0_4_4 (id 31)"),
      type(33, "Q4_0_8_8 (id 33)"),
      type(36, "IQ4_NL_4_4 or I2_S (id 36)"),
      type(38, "IQ4_NL_8_8 (id 38)"),
      type(43, "id 43, which GGUF does not define"),
      type(133, "Q6_0 (id 133), made by ik_llama.cpp"),
      type(139, "IQ4_K (id 139), made by ik_llama.cpp"),
      type(212, "Q4_K_R4 (id 212), made by ik_llama.cpp"),
      type(999, "id 999, which GGUF does not define"),
      type(~0u, "id 4294967295"),
  };
}

std::vector<BadFile> bad_names() {
  auto name = [](std::string test, std::string wanted, std::string value) {
    return lone(std::move(test), std::move(wanted), {.name = std::move(value)});
  };
  auto length = [](std::string test, std::string wanted, std::uint64_t value) {
    return lone(std::move(test), std::move(wanted), {.name_length = value});
  };
  return {
      name("name_empty", "tensor 0: name has a length of 0 bytes", ""),
      name("name_64", "name has a length of 64 bytes at offset 24, wanted 1 to 63",
           std::string(64, 'n')),
      name("name_nul", "name \"a\\x00b\" at offset 32 holds a control character", "a\0b"s),
      name("name_not_utf8", "name \"\\xff\\xfe\" at offset 32 is not UTF-8", "\xff\xfe"),
      length("name_length_65536", "name has a length of 65536 bytes", 65'536),
      length("name_length_2_63", "name has a length of 9223372036854775808 bytes", power(63)),
      length("name_length_max", "name has a length of 18446744073709551615", ~std::uint64_t{0}),
      bad_model("name_over_file",
                "tensor 0: name needs 60 bytes at offset 32, and the file has 49 left",
                GgufBuilder().tensor({.dims = {1, 1, 1, 1}, .name_length = 60}).cut(15)),
      bad_model("name_twice", "tensor \"a\": the name appears twice: tensors 0 and 1",
                GgufBuilder().tensor("a", {8}).tensor("a", {8})),
      bad_model("name_twice_far", "tensor \"token_embd.weight\": the name appears twice",
                small_model().tensor("token_embd.weight", {1}, 8)),
  };
}

/// Two tensors of 32 floats (128 bytes), the second at `offset` instead of 128.
BadFile second_at(std::string name, std::string wanted, std::uint64_t offset) {
  return bad_model(
      std::move(name), "tensor \"b\": " + std::move(wanted),
      GgufBuilder().tensor("a", {32}).tensor(
          {.name = "b", .dims = {32}, .data = std::string(1024, 'x'), .offset = offset}));
}

std::vector<BadFile> bad_offsets() {
  const GgufBuilder pair = GgufBuilder().tensor("a", {32}).tensor("b", {32}).no_final_padding();
  const GgufBuilder odd = GgufBuilder().tensor("a", {8}).tensor("b", {9}).no_final_padding();
  auto cut = [](GgufBuilder builder, std::size_t bytes) { return builder.cut(bytes); };
  return {
      second_at("offset_unaligned", "offset 129 is not a multiple of the alignment 32", 129),
      second_at("offset_16", "offset 144 is not a multiple of the alignment 32", 144),
      second_at("offset_max", "offset 18446744073709551615 is not a multiple", ~std::uint64_t{0}),
      second_at("offset_max_aligned", "offset 18446744073709551584 leaves a gap",
                ~std::uint64_t{0} - 31),
      second_at("offset_2_63", "offset 9223372036854775808 leaves a gap", power(63)),
      second_at("offset_overlaps", "offset 96 overlaps tensor \"a\", expected 128", 96),
      second_at("offset_same", "offset 0 overlaps tensor \"a\", expected 128", 0),
      second_at("offset_gap", "offset 160 leaves a gap or is out of order, expected 128", 160),
      lone("offset_first_not_0", "offset 32 leaves a gap or is out of order, expected 0",
           {.offset = 32}),
      bad_model(
          "offset_decreasing", "tensor \"a\": offset 128 leaves a gap or is out of order",
          GgufBuilder()
              .tensor({.name = "a", .dims = {32}, .data = std::string(128, 'x'), .offset = 128})
              .tensor({.name = "b", .dims = {32}, .data = std::string(128, 'x'), .offset = 0})),
      bad_model("offset_for_other_alignment", "is not a multiple of the alignment 64",
                GgufBuilder().kv_u32("general.alignment", 64).tensor("a", {8}).tensor("b", {8})),
      bad_model("data_short_by_1",
                "tensor \"b\": 128 bytes at offset 224 end at 352, and the file "
                "has 351 bytes: 1 are missing",
                cut(pair, 1)),
      bad_model("data_short_by_31", "31 are missing", cut(pair, 31)),
      bad_model("data_short_by_128", "128 are missing", cut(pair, 128)),
      bad_model("data_short_in_first", "tensor \"a\": 128 bytes", cut(pair, 200)),
      bad_model("data_missing", "tensor \"a\"", cut(pair, 256)),
      bad_model("data_odd_short_by_1", "tensor \"b\": 36 bytes", cut(odd, 1)),
      bad_model("data_after_padding_missing", "tensor \"a\": 32 bytes at offset 1048576",
                GgufBuilder().kv_u32("general.alignment", 1u << 20).tensor("a", {8})),
      bad_sparse("tensor_of_8_tib_in_1_tib", "elements of type F32 need 8796093022208 bytes",
                 GgufBuilder().tensor({.dims = {std::uint64_t{1} << 41}}).build(),
                 std::uintmax_t{1} << 40),
  };
}

}  // namespace

std::vector<BadFile> bad_tensors() {
  std::vector<BadFile> all;
  for (auto* part : {bad_dimensions, bad_types, bad_names, bad_offsets})
    for (BadFile& file : part()) all.push_back(std::move(file));
  return all;
}

}  // namespace strata::test
