#include "runtime/text/hf_sentencepiece.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <optional>

#include "runtime/core/byte_reader.h"
#include "runtime/core/error.h"
#include "runtime/text/text_index.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxPieces = std::size_t{1} << 22;
constexpr std::size_t kMaxPieceBytes = 64 * 1024;
constexpr std::size_t kMaxSpecialBytes = 1024;

// One field of a protobuf message.
struct Field {
  std::uint32_t number = 0;
  std::uint32_t wire = 0;
  std::uint64_t integer = 0;         // wire types 0 and 5
  std::span<const std::byte> bytes;  // wire type 2
};

// The fields of one message, in order.
class Message {
 public:
  Message(std::span<const std::byte> bytes, const std::string& subject)
      : reader_(bytes), subject_(subject) {}

  bool next(Field& field) {
    if (reader_.remaining() == 0) return false;
    const std::uint64_t tag = varint();
    field = {static_cast<std::uint32_t>(tag >> 3), static_cast<std::uint32_t>(tag & 7), 0, {}};
    if (tag >> 3 == 0 || tag >> 32 != 0) bad("has a field number that protobuf does not allow");
    if (field.wire == 0) {
      field.integer = varint();
    } else if (field.wire == 1) {
      if (!reader_.read_bytes(8)) bad("ends inside a number");
    } else if (field.wire == 2) {
      const std::uint64_t length = varint();
      const auto bytes = reader_.read_bytes(length);
      if (!bytes)
        bad(fmt::format("has a field of {} bytes, {} are left", length, reader_.remaining()));
      field.bytes = *bytes;
    } else if (field.wire == 5) {
      const auto value = reader_.read<std::uint32_t>();
      if (!value) bad("ends inside a number");
      field.integer = *value;
    } else {
      bad(fmt::format("has a field of wire type {}", field.wire));
    }
    return true;
  }

  [[noreturn]] void bad(std::string_view detail) const {
    throw Error(ErrorCode::bad_model, subject_,
                fmt::format("{} (byte {} of a message of {})", detail, reader_.offset(),
                            reader_.offset() + reader_.remaining()),
                "is it a SentencePiece model, and downloaded whole?");
  }

  void want(const Field& field, std::uint32_t wire) const {
    if (field.wire != wire) {
      bad(fmt::format("has field {} in wire type {}, not {}", field.number, field.wire, wire));
    }
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = reader_.read<std::uint8_t>();
      if (!byte) bad("ends inside a number");
      value |= static_cast<std::uint64_t>(*byte & 0x7F) << shift;
      if (*byte < 0x80) return value;
    }
    bad("has a number of more than ten bytes");
  }

  ByteReader reader_;
  const std::string& subject_;
};

std::string text_of(const Field& field) {
  return {reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size()};
}

class ModelReader {
 public:
  explicit ModelReader(const std::string& subject) : subject_(subject) {}

  VocabularyData run(std::span<const std::byte> bytes) {
    if (bytes.size() > kMaxFileBytes) {
      bad(fmt::format("{} bytes are more than {}", bytes.size(), kMaxFileBytes));
    }
    Message message(bytes, subject_);
    for (Field field; message.next(field);) {
      if (field.number < 1 || field.number > 5 || field.number == 4) continue;  // 4: self test
      message.want(field, 2);
      if (field.number == 1) piece(field.bytes);
      if (field.number == 2) trainer(field.bytes);
      if (field.number == 3) normalizer(field.bytes);
      if (field.number == 5) denormalizer(field.bytes);
    }
    finish();
    return std::move(data_);
  }

 private:
  [[noreturn]] void bad(std::string detail) const {
    throw Error(ErrorCode::bad_model, subject_, std::move(detail));
  }
  [[noreturn]] void unsupported(std::string detail) const {
    throw Error(ErrorCode::unsupported_model, subject_, std::move(detail),
                "use the model's GGUF file");
  }

  void piece(std::span<const std::byte> bytes) {
    const std::size_t id = data_.tokens.size();
    if (id >= kMaxPieces) bad(fmt::format("has more than {} pieces", kMaxPieces));
    std::string text;
    float score = 0;
    std::uint64_t type = 1;
    Message message(bytes, subject_);
    for (Field field; message.next(field);) {
      if (field.number == 1) {
        message.want(field, 2);
        text = text_of(field);
      } else if (field.number == 2) {
        message.want(field, 5);
        score = std::bit_cast<float>(static_cast<std::uint32_t>(field.integer));
      } else if (field.number == 3) {
        message.want(field, 0);
        type = field.integer;
      }
    }
    check_piece(id, text, score, type);
    data_.tokens.push_back(std::move(text));
    data_.scores.push_back(score);
    data_.types.push_back(static_cast<std::int32_t>(type));
  }

  void check_piece(std::size_t id, const std::string& text, float score, std::uint64_t type) const {
    if (text.empty()) bad(fmt::format("piece {} is empty", id));
    if (type < 1 || type > 6) bad(fmt::format("piece {} has type {}; types are 1 to 6", id, type));
    const bool special = type >= 2 && type <= 4;
    const std::size_t most = special ? kMaxSpecialBytes : kMaxPieceBytes;
    if (text.size() > most) {
      bad(fmt::format("piece {} has {} bytes, more than {}", id, text.size(), most));
    }
    if (!is_utf8(text)) bad(fmt::format("piece {} (\"{}\") is not UTF-8", id, printable(text, 32)));
    if (std::isnan(score)) bad(fmt::format("the score of piece {} is not a number", id));
    if (type == 6 && !parse_byte_token(text)) {
      bad(fmt::format("piece {} (\"{}\") is of the byte type but not of the form <0xHH>", id,
                      printable(text, 32)));
    }
  }

  void trainer(std::span<const std::byte> bytes) {
    Message message(bytes, subject_);
    for (Field field; message.next(field);) {
      const bool wanted =
          field.number == 3 || field.number == 24 || (field.number >= 40 && field.number <= 43);
      if (!wanted) continue;
      message.want(field, 0);
      const auto value = static_cast<std::int32_t>(field.integer);
      if (field.number == 3) model_type_ = value;
      if (field.number == 24 && field.integer != 0) {
        unsupported("treat_whitespace_as_suffix is not supported");
      }
      if (field.number == 40) unknown_ = value;
      if (field.number == 41) bos_ = value;
      if (field.number == 42) eos_ = value;
      if (field.number == 43) padding_ = value;
    }
  }

  void normalizer(std::span<const std::byte> bytes) {
    Message message(bytes, subject_);
    for (Field field; message.next(field);) {
      if (field.number < 2 || field.number > 5) continue;
      message.want(field, field.number == 2 ? 2 : 0);
      const bool on = field.integer != 0;
      if (field.number == 2) spec_.charsmap = text_of(field);
      if (field.number == 3) spec_.dummy_prefix = on;
      if (field.number == 4) spec_.remove_extra_spaces = on;
      if (field.number == 5 && !on) unsupported("escape_whitespaces = false is not supported");
    }
  }

  void denormalizer(std::span<const std::byte> bytes) {
    Message message(bytes, subject_);
    for (Field field; message.next(field);) {
      if (field.number == 2 && field.wire == 2 && !field.bytes.empty()) {
        unsupported("a denormalizer is not supported");
      }
    }
  }

  std::optional<std::int64_t> special(std::string_view name, std::int32_t id) const {
    if (id < 0) return std::nullopt;
    if (static_cast<std::size_t>(id) >= data_.tokens.size()) {
      bad(fmt::format("{} is {}, outside its {} pieces", name, id, data_.tokens.size()));
    }
    return id;
  }

  void finish() {
    static constexpr const char* kTypes[] = {"of an unknown kind", "Unigram", "BPE", "word",
                                             "character"};
    if (data_.tokens.empty()) bad("holds no pieces: is it a SentencePiece model?");
    if (model_type_ != 2) {
      const bool known = model_type_ >= 1 && model_type_ <= 4;
      unsupported(fmt::format("the model is {} (type {}), only BPE is supported",
                              kTypes[known ? model_type_ : 0], model_type_));
    }
    data_.model = "llama";
    data_.unknown = special("unk_id", unknown_);
    data_.bos = special("bos_id", bos_);
    data_.eos = special("eos_id", eos_);
    data_.padding = special("pad_id", padding_);
    const Charsmap check(spec_.charsmap, subject_);
    TextRules rules;
    rules.byte_level = false;
    rules.byte_tokens = true;
    rules.strip_first_space = spec_.dummy_prefix;
    rules.sentencepiece = std::move(spec_);
    read_added(rules);
    data_.rules = std::move(rules);
  }

  // Hugging Face looks for these in texts before SentencePiece sees them.
  void read_added(TextRules& rules) const {
    TextIndex seen(data_.tokens.size());
    for (std::size_t id = 0; id < data_.tokens.size(); ++id) {
      seen.insert(data_.tokens[id], 0);
      if (seen.size() != id + 1) {
        bad(fmt::format("piece {} (\"{}\") stands twice", id, printable(data_.tokens[id], 32)));
      }
      const auto type = static_cast<TokenType>(data_.types[id]);
      const bool control = type == TokenType::control || type == TokenType::unknown;
      if (!control && type != TokenType::user_defined) continue;
      rules.added.push_back(
          {.id = static_cast<TokenId>(id), .text = data_.tokens[id], .special = control});
    }
  }

  const std::string& subject_;
  VocabularyData data_;
  SentencePieceRules spec_;
  std::int32_t model_type_ = 1;
  std::int32_t unknown_ = 0;
  std::int32_t bos_ = 1;
  std::int32_t eos_ = 2;
  std::int32_t padding_ = -1;
};

}  // namespace

VocabularyData read_sentencepiece_model(std::span<const std::byte> bytes,
                                        const std::string& subject) {
  return ModelReader(subject).run(bytes);
}

}  // namespace strata::text
