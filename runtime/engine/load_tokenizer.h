#pragma once

#include <memory>

#include "runtime/text/tokenizer.h"
#include "runtime/weights/metadata.h"
#include "runtime/weights/model_file.h"

namespace strata {

/// The tokenizer of a model: of a GGUF file's metadata, or of the files in its Hugging Face
/// directory (load_hf_tokenizer). Null where there is none. Throws as these two.
std::shared_ptr<const text::Tokenizer> load_tokenizer(const ModelFile& file);

/// The same, for who cannot do without: a missing tokenizer is an Error{bad_model}.
std::shared_ptr<const text::Tokenizer> require_tokenizer(const ModelFile& file);

/// The tokenizer in a GGUF file's metadata. Throws Error{bad_model} or Error{unsupported_model}
/// naming the key; a file without one (`tokenizer.ggml.model` absent, "no_vocab" or "none") gives
/// null.
std::shared_ptr<const text::Tokenizer> load_tokenizer(const Metadata& metadata);

}  // namespace strata
