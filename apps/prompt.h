#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/arguments.h"
#include "runtime/text/tokenizer.h"

namespace strata::apps {

/// The text that -p, -f or standard input give, escapes resolved where they are asked for. Standard
/// input is read for "-" and when nothing else was given and it is no terminal, and never
/// otherwise. Empty when there is none. Throws Error{usage} for two sources at once, Error{io}.
std::optional<std::string> read_prompt_text(const cli::Arguments& arguments);

/// All of a file's bytes. Throws Error{io}.
std::string read_text_file(const std::string& path);
/// All of standard input.
std::string read_standard_input();

/// The prompt's ids: --ids as they are, or the text's with the model's special tokens. `tokenizer`
/// may be null when --ids is given. Throws Error{usage} when there is no prompt.
std::vector<text::TokenId> read_prompt(const cli::Arguments& arguments,
                                       const text::Tokenizer* tokenizer);

}  // namespace strata::apps
