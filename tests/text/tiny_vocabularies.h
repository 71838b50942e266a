#pragma once

#include "runtime/text/vocabulary.h"

namespace strata::text::test {

/// SentencePiece by hand: <unk> <s> </s>, the 256 byte tokens (ids 3 to 258), then pieces with
/// scores that merge "▁hello" from its letters, a user-defined "<sep>" and a control "<|im_end|>".
VocabularyData tiny_sentencepiece();

/// Byte-level BPE by hand: the 256 characters of the byte alphabet (id = byte), the merges
/// h+e, l+l, he+ll, hell+o, Ġ+hello, 1+2, then the controls <|begin|>, <|im_end|> and a
/// user-defined <sep>. Pre-tokenizer "gpt-2".
VocabularyData tiny_bpe();

}  // namespace strata::text::test
