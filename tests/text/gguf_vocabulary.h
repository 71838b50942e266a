#pragma once

#include <filesystem>

#include "runtime/text/vocabulary.h"

namespace strata::text::test {

/// The tokenizer of a GGUF file, read by a small reader of the tests' own, which shares no code
/// with runtime/weights. Throws std::runtime_error for a file it cannot read: the tests' data are
/// sound.
VocabularyData read_gguf_vocabulary(const std::filesystem::path& path);

}  // namespace strata::text::test
