#pragma once

#include <memory>

#include "runtime/text/tokenizer.h"
#include "runtime/weights/metadata.h"

namespace strata {

/// The tokenizer of a model file. Throws Error{bad_model} or Error{unsupported_model} naming the
/// key; a file without one (`tokenizer.ggml.model` absent, "no_vocab" or "none") gives null.
std::shared_ptr<const text::Tokenizer> load_tokenizer(const Metadata& metadata);

/// The same, for who cannot do without: a missing tokenizer is an Error{bad_model}.
std::shared_ptr<const text::Tokenizer> require_tokenizer(const Metadata& metadata);

}  // namespace strata
