#include "runtime/weights/foreign_format.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "runtime/core/byte_reader.h"

namespace strata {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view bytes;  // lower case: letters are compared without case
  std::string_view what;
  std::string_view hint;
};

constexpr std::string_view kConvert =
    "convert it to GGUF first (llama.cpp's convert_hf_to_gguf.py), or download a .gguf file";
constexpr std::string_view kOld = "files of this age must be made anew: download a current .gguf";

constexpr std::array kMagics = {
    Magic{"<!doctype", "is an HTML page, not a model",
          "the download link led to a web page: download the file again"},
    Magic{"<html", "is an HTML page, not a model",
          "the download link led to a web page: download the file again"},
    Magic{"<?xml", "is an XML answer of a web server, not a model", "download the file again"},
    Magic{"version https://git-lfs", "is a Git LFS pointer, not the model itself",
          "download the file again (git lfs pull)"},
    Magic{"pk\x03\x04", "is a zip archive (PyTorch checkpoint?), not a GGUF file", kConvert},
    Magic{"\x80\x02", "is a Python pickle, not a GGUF file", kConvert},
    Magic{"\x80\x03", "is a Python pickle, not a GGUF file", kConvert},
    Magic{"\x80\x04", "is a Python pickle, not a GGUF file", kConvert},
    Magic{"\x80\x05", "is a Python pickle, not a GGUF file", kConvert},
    Magic{"lmgg", "is a GGML file of 2023, before GGUF", kOld},
    Magic{"fmgg", "is a GGMF file of 2023, before GGUF", kOld},
    Magic{"tjgg", "is a GGJT file of 2023, before GGUF", kOld},
    Magic{"algg", "is a GGLA adapter of 2023, before GGUF", kOld},
    Magic{"\xcd\xab\x00\x0a"sv, "is a distributed-llama .m model, not a GGUF file", kConvert},
    Magic{"\x1f\x8b", "is a gzip archive, not a GGUF file", "unpack it first"},
    Magic{"\x28\xb5\x2f\xfd", "is a zstd archive, not a GGUF file", "unpack it first"},
    Magic{"\x00\x00\x00\x00"sv, "begins with zero bytes",
          "the download is incomplete: download the file again"},
};

}  // namespace

std::optional<ForeignFormat> recognise_foreign_format(std::span<const std::byte> file) {
  ByteReader reader(file);
  std::string start(*reader.read_text(std::min<std::size_t>(file.size(), 64)));
  std::transform(start.begin(), start.end(), start.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const Magic& magic : kMagics)
    if (start.starts_with(magic.bytes))
      return ForeignFormat{std::string(magic.what), std::string(magic.hint)};
  // safetensors: a u64 header length, then JSON.
  if (start.size() > 9 && start[8] == '{' && (start[9] == '"' || start[9] == ' '))
    return ForeignFormat{"is a safetensors file, and its name does not end in .safetensors",
                         "give it back its name, and open its directory"};
  return std::nullopt;
}

}  // namespace strata
