#include "tests/weights/bad_files.h"

namespace strata::test {
namespace {

using namespace std::string_literals;

std::vector<BadFile> short_files() {
  std::vector<BadFile> cases = {bad_bytes("empty", "is empty (0 bytes)", "")};
  const std::string whole = small_model().build();
  for (std::size_t size = 1; size < 24; ++size) {
    const std::string wanted = size < 4    ? "magic needs 4 bytes, and the file has "
                               : size < 8  ? "version needs 4 bytes at offset 4"
                               : size < 16 ? "n_tensors needs 8 bytes at offset 8"
                                           : "n_kv needs 8 bytes at offset 16";
    cases.push_back(bad_bytes("size_" + std::to_string(size), wanted, whole.substr(0, size)));
  }
  return cases;
}

std::vector<BadFile> other_formats() {
  const std::string tail(100, 'x');
  const std::string again = "not a model";
  return {
      bad_bytes("html_doctype", "is an HTML page, not a model", "<!DOCTYPE html>\n" + tail),
      bad_bytes("html_lower", "is an HTML page", "<!doctype html>" + tail),
      bad_bytes("html_bare", "is an HTML page", "<HTML><body>" + tail),
      bad_bytes("xml", "is an XML answer", "<?xml version=\"1.0\"?><Error/>" + tail),
      bad_bytes("lfs_pointer", "is a Git LFS pointer",
                "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
      bad_bytes("zip", "is a zip archive", "PK\x03\x04" + tail),
      bad_bytes("pickle", "is a Python pickle", "\x80\x02}q" + tail),
      bad_bytes("pickle_4", "is a Python pickle", "\x80\x04\x95" + tail),
      bad_bytes("safetensors", "is a safetensors file",
                Bytes().u64(60).raw("{\"__metadata__\":{}}").raw(tail).str()),
      bad_bytes("ggml", "is a GGML file", "lmgg" + tail),
      bad_bytes("ggmf", "is a GGMF file", "fmgg" + tail),
      bad_bytes("ggjt", "is a GGJT file", "tjgg" + tail),
      bad_bytes("ggla", "is a GGLA adapter", "algg" + tail),
      bad_bytes("dllama", "is a distributed-llama .m model",
                Bytes().u32(0xA00ABCD).raw(tail).str()),
      bad_bytes("gzip", "is a gzip archive", "\x1f\x8b\x08" + tail),
      bad_bytes("zstd", "is a zstd archive", "\x28\xb5\x2f\xfd" + tail),
      bad_bytes("zeros", "begins with zero bytes", std::string(4096, '\0')),
      bad_bytes("text", "is not a GGUF file: it begins with \"xxxx\"", tail),
      bad_model("magic_ggug", "begins with \"GGUG\"", small_model().magic("GGUG")),
      bad_model("magic_lower", "begins with \"gguf\"", small_model().magic("gguf")),
      bad_model("magic_reversed", "a big-endian GGUF file", small_model().magic("FUGG")),
  };
}

std::vector<BadFile> versions() {
  return {
      bad_model("version_0", "is GGUF version 0", small_model().version(0)),
      bad_model("version_1", "is GGUF version 1, which is no longer read",
                small_model().version(1)),
      bad_model("version_4", "is GGUF version 4; versions 2 and 3", small_model().version(4)),
      bad_model("version_max", "is GGUF version 4294967295", small_model().version(~0u)),
      bad_model("big_endian_v3", "this is a big-endian GGUF file",
                small_model().version(0x03000000)),
      bad_model("big_endian_v2", "this is a big-endian GGUF file",
                small_model().version(0x02000000)),
  };
}

std::vector<BadFile> counts() {
  constexpr std::uint64_t kHuge[] = {~std::uint64_t{0}, std::uint64_t{1} << 31,
                                     (std::uint64_t{1} << 63) - 1, ~std::uint64_t{0} / 80,
                                     ~std::uint64_t{0} / 56 + 1};
  std::vector<BadFile> cases;
  for (std::uint64_t count : kHuge) {
    const std::string text = std::to_string(count);
    cases.push_back(bad_model("n_tensors_" + text, "n_tensors is " + text + " at offset 8",
                              small_model().tensor_count(count)));
    cases.push_back(bad_model("n_kv_" + text, "n_kv is " + text + " at offset 16",
                              small_model().kv_count(count)));
  }
  cases.push_back(bad_model("n_tensors_over_limit", "more than the limit of 1048576",
                            small_model().tensor_count(1'048'577)));
  cases.push_back(
      bad_model("n_kv_over_limit", "more than the limit of 65536", small_model().kv_count(65'537)));
  cases.push_back(bad_model("n_tensors_over_file", "n_tensors is 1000, which needs at least 33000",
                            small_model().tensor_count(1000)));
  cases.push_back(bad_model("n_kv_over_file", "n_kv is 1000, which needs at least 14000",
                            small_model().kv_count(1000)));
  cases.push_back(bad_model("n_tensors_one_more", "tensor 4: name has a length of 0",
                            small_model().tensor_count(5)));
  // The first tensor info is read as a key, its number of dimensions (2) as the type u16.
  cases.push_back(
      bad_model("n_kv_one_more", "tensor 0: name has a length of", small_model().kv_count(7)));
  // The last key is read as a tensor, its type (array) as the number of dimensions.
  cases.push_back(bad_model("n_kv_one_less", "tensor \"tokenizer.ggml.token_type\": n_dims is 9",
                            small_model().kv_count(5)));
  cases.push_back(bad_sparse("n_tensors_over_budget", "1048576 tensor infos would take",
                             Bytes().raw("GGUF").u32(3).u64(1'048'576).u64(0).str(),
                             std::uintmax_t{64} << 20));
  return cases;
}

}  // namespace

std::vector<BadFile> bad_headers() {
  std::vector<BadFile> all;
  for (auto* part : {short_files, other_formats, versions, counts})
    for (BadFile& file : part()) all.push_back(std::move(file));
  return all;
}

}  // namespace strata::test
