// Hostile model files: see gguf_fuzz.h for what is proven of each input.
#include "tests/fuzz/gguf_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strata::test::fuzz_gguf(std::as_bytes(std::span(data, size)));
  return 0;
}
