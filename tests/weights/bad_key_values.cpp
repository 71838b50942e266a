#include "tests/weights/bad_files.h"

namespace strata::test {
namespace {

using namespace std::string_literals;

constexpr std::uint32_t kArray = 9;
constexpr std::uint64_t kMax64 = ~std::uint64_t{0};

std::uint64_t power(int exponent) { return std::uint64_t{1} << exponent; }

/// An array value's type and length, with `payload` as its elements.
std::string array_of(std::uint32_t element, std::uint64_t count, std::string_view payload = {}) {
  return Bytes().u32(element).u64(count).raw(payload).str();
}

std::vector<BadFile> bad_keys() {
  auto key = [](std::string name, std::string wanted, std::string_view text) {
    return bad_model(std::move(name), std::move(wanted), small_model().kv_u32(text, 1));
  };
  auto length = [](std::string name, std::string wanted, std::uint64_t value) {
    return bad_model(std::move(name), std::move(wanted),
                     small_model().kv("x", 4, Bytes().u32(1).str(), value));
  };
  return {
      length("key_length_0", "key 6: key has a length of 0 bytes", 0),
      length("key_length_65536", "key has a length of 65536 bytes at offset", 65'536),
      length("key_length_2_63", "key has a length of 9223372036854775808 bytes", power(63)),
      length("key_length_max", "key has a length of 18446744073709551615 bytes", kMax64),
      length("key_length_over_file", "key needs 60000 bytes at offset", 60'000),
      key("key_nul", "key \"a\\x00b\" at offset", "a\0b"s),
      key("key_newline", "holds a control character", "a\nb"),
      key("key_delete", "holds a control character", "a\x7f"),
      key("key_path", "holds \"../\"", "../../etc/passwd"),
      key("key_path_inside", "holds \"../\"", "general.../x"),
      key("key_lone_continuation", "is not UTF-8", "a\x80"),
      key("key_overlong", "is not UTF-8", "a\xc0\xaf"),
      key("key_overlong_3", "is not UTF-8", "\xe0\x80\xaf"),
      key("key_surrogate", "is not UTF-8", "\xed\xa0\x80"),
      key("key_above_unicode", "is not UTF-8", "\xf4\x90\x80\x80"),
      key("key_cut_sequence", "is not UTF-8", "abc\xe2\x82"),
      bad_model("key_twice", "key \"llama.block_count\": appears twice: as u32, and as u32",
                small_model().kv_u32("llama.block_count", 1)),
      bad_model("key_twice_other_type", "appears twice: as u32, and as string at offset",
                small_model().kv_string("llama.block_count", "1")),
      bad_model("key_twice_alignment", "key \"general.alignment\": appears twice",
                small_model().kv_u32("general.alignment", 32).kv_u32("general.alignment", 64)),
  };
}

std::vector<BadFile> bad_types() {
  auto value = [](std::string name, std::string wanted, std::uint32_t type, std::string payload) {
    return bad_model(std::move(name), std::move(wanted), small_model().kv("x", type, payload));
  };
  const std::string four(4, '\1');
  return {
      value("type_13", "key \"x\": value type is 13 at offset", 13, four),
      value("type_255", "value type is 255", 255, four),
      value("type_max", "value type is 4294967295", ~0u, four),
      value("element_type_13", "array element type is 13", kArray, array_of(13, 1, four)),
      value("element_type_max", "array element type is 4294967295", kArray, array_of(~0u, 1, four)),
      value("bool_2", "bool at offset", 7, "\x02"),
      value("bool_255", "is 255, wanted 0 or 1", 7, "\xff"),
      value("bool_in_array", "is 7, wanted 0 or 1", kArray, array_of(7, 3, "\x01\x07\x01")),
  };
}

std::string nested_arrays(int depth) {
  Bytes out;
  for (int i = 0; i < depth; ++i) out.u32(kArray).u64(1);
  return out.u32(4).u64(1).u32(7).str();
}

std::vector<BadFile> bad_arrays() {
  auto array = [](std::string name, std::string wanted, std::string payload) {
    return bad_model(std::move(name), std::move(wanted), small_model().kv("x", kArray, payload));
  };
  const std::string nested = "nested arrays are not read";
  const std::string no_fit = "does not fit in the";
  std::vector<BadFile> cases = {
      array("array_nested_1", nested, nested_arrays(1)),
      array("array_nested_2", nested, nested_arrays(2)),
      array("array_nested_100000", nested, nested_arrays(100'000)),
      array("array_nested_empty", nested, array_of(kArray, 0)),
      array("array_u8_max", "array of 18446744073709551615 u8 at offset", array_of(0, kMax64)),
      array("array_u32_max", "array of 18446744073709551615 u32", array_of(4, kMax64)),
      array("array_u16_wraps_to_0", no_fit, array_of(2, power(63))),
      array("array_u32_wraps_to_0", no_fit, array_of(4, power(62))),
      array("array_u64_wraps_to_0", no_fit, array_of(10, power(61))),
      array("array_f64_wraps_to_8", no_fit, array_of(12, power(61) + 1, "12345678")),
      array("array_i32_2_31", "array of 2147483648 i32", array_of(5, power(31))),
      array("array_strings_max", "array of 18446744073709551615 strings", array_of(8, kMax64)),
      array("array_strings_over_file", "array of 1000000 strings at offset",
            array_of(8, 1'000'000, std::string(16, '\0'))),
      array("array_strings_wraps", "array of 1152921504606846977 strings",
            array_of(8, power(60) + 1, std::string(16, '\0'))),
      array("array_string_too_long", "string of an array needs 4000 bytes",
            array_of(8, 2, Bytes().text("ab").text("cd", 4000).str())),
      array("array_string_length_cut", "string of an array",
            array_of(8, 2, Bytes().text("ab").u32(0).str())),
  };
  // One byte more than the file has after the array's header.
  const GgufBuilder whole = GgufBuilder().kv("x", kArray, array_of(0, 101, std::string(100, 'x')));
  cases.push_back(bad_model("array_one_byte_more",
                            "array of 101 u8 at offset 49 does not fit in the 100 bytes left",
                            whole));
  cases.push_back(bad_sparse(
      "array_10_million_empty_strings", "an array of 10000000 strings would take 160000000 bytes",
      Bytes().raw("GGUF").u32(3).u64(0).u64(1).text("x").u32(kArray).u32(8).u64(10'000'000).str(),
      100'000'000));
  return cases;
}

/// Lists of empty strings, each small enough, together over the budget.
std::string many_string_lists() {
  Bytes out;
  out.raw("GGUF").u32(3).u64(0).u64(9);
  for (int i = 0; i < 9; ++i)
    out.text("k" + std::to_string(i)).u32(kArray).u32(8).u64(500'000).zeros(4'000'000);
  return out.str();
}

/// Ten strings of 60 MiB, which is legal for each of them.
BadFile header_over_limit() {
  return {"header_over_limit", "passes the header limit of 536870912 bytes",
          [](const TempFolder& folder) {
            const auto path = folder.path() / "model.gguf";
            const std::size_t string_bytes = std::size_t{60} << 20;
            std::ofstream out(path, std::ios::binary);
            out << Bytes().raw("GGUF").u32(3).u64(0).u64(10).str();
            for (int i = 0; i < 10; ++i) {
              out << Bytes().text("k" + std::to_string(i)).u32(8).u64(string_bytes).str();
              out.seekp(static_cast<std::streamoff>(string_bytes), std::ios::cur);
            }
            out << "end";
            return path;
          }};
}

std::vector<BadFile> bad_strings() {
  auto text = [](std::string name, std::string wanted, std::uint64_t length) {
    return bad_model(std::move(name), std::move(wanted),
                     GgufBuilder().kv("x", 8, Bytes().text("0123456789", length).str()));
  };
  const std::uint64_t limit = power(26);
  return {
      text("string_one_byte_more", "string needs 11 bytes at offset 45, and the file has 10 left",
           11),
      text("string_1_gib", "string has a length of 1073741824 bytes", power(30)),
      text("string_2_63", "string has a length of 9223372036854775808 bytes", power(63)),
      text("string_max", "string has a length of 18446744073709551615 bytes", kMax64),
      text("string_limit", "string needs 67108864 bytes", limit),
      bad_sparse("string_over_limit", "length of 67108865 bytes at offset 37, more than the limit",
                 Bytes().raw("GGUF").u32(3).u64(0).u64(1).text("x").u32(8).u64(limit + 1).str(),
                 limit + 1000),
      bad_bytes("strings_over_budget", "strings would take 8000000 bytes of memory",
                many_string_lists()),
      header_over_limit(),
  };
}

std::vector<BadFile> bad_alignments() {
  const char* kKey = "general.alignment";
  std::vector<BadFile> cases;
  for (std::uint32_t value : {0u, 1u, 3u, 4u, 24u, 33u, (1u << 20) + 1, 1u << 21, 1u << 31, ~0u})
    cases.push_back(bad_model("alignment_" + std::to_string(value),
                              "key \"general.alignment\" is " + std::to_string(value) +
                                  ", wanted a power of two from 8 to 1048576",
                              small_model().kv_u32(kKey, value)));
  auto typed = [&](std::string name, std::string wanted, ValueType type, auto value) {
    cases.push_back(
        bad_model("alignment_" + name, wanted, small_model().kv_number(kKey, type, value)));
  };
  typed("i32", "is 32 of type i32, wanted u32", ValueType::i32, std::int32_t{32});
  typed("u64", "is 32 of type u64, wanted u32", ValueType::u64, std::uint64_t{32});
  typed("f32", "is 32 of type f32, wanted u32", ValueType::f32, 32.0f);
  typed("bool", "is true of type bool, wanted u32", ValueType::boolean, std::uint8_t{1});
  cases.push_back(bad_model("alignment_string", "is \"32\" of type string, wanted u32",
                            small_model().kv_string(kKey, "32")));
  cases.push_back(bad_model("alignment_array", "is [32] of type array of u32, wanted u32",
                            small_model().kv(kKey, kArray, array_of(4, 1, Bytes().u32(32).str()))));
  return cases;
}

}  // namespace

std::vector<BadFile> bad_key_values() {
  std::vector<BadFile> all;
  for (auto* part : {bad_keys, bad_types, bad_arrays, bad_strings, bad_alignments})
    for (BadFile& file : part()) all.push_back(std::move(file));
  return all;
}

}  // namespace strata::test
