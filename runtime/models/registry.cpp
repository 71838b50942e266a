#include <fmt/format.h>

#include <string>

#include "runtime/core/error.h"
#include "runtime/models/architecture.h"
#include "runtime/models/key_reader.h"

namespace strata {

#define STRATA_MODEL(Name, gguf_architecture, moe) extern const Architecture k##Name;
#include "runtime/models/models.def"
#undef STRATA_MODEL

namespace {

struct Entry {
  std::string_view gguf_architecture;
  bool moe;
  const Architecture* architecture;
};

constexpr Entry kEntries[] = {
#define STRATA_MODEL(Name, gguf_architecture, moe) {gguf_architecture, moe, &k##Name},
#include "runtime/models/models.def"
#undef STRATA_MODEL
};

constexpr const Architecture* kAll[] = {
#define STRATA_MODEL(Name, gguf_architecture, moe) &k##Name,
#include "runtime/models/models.def"
#undef STRATA_MODEL
};

std::string supported_list() {
  std::string list;
  for (const Entry& entry : kEntries)
    list += fmt::format("{}{} ({})", list.empty() ? "" : "; ", entry.gguf_architecture,
                        entry.architecture->description);
  return list;
}

}  // namespace

std::span<const Architecture* const> all_architectures() { return kAll; }

const Architecture& find_architecture(const KeyReader& keys) {
  const bool moe = keys.find("expert_count", 0, 1 << 20).value_or(0) > 0;
  bool known = false;
  for (const Entry& entry : kEntries) {
    if (entry.gguf_architecture != keys.architecture()) continue;
    known = true;
    if (entry.moe == moe) return *entry.architecture;
  }
  if (known)
    throw Error(
        ErrorCode::bad_model, keys.metadata().file(),
        fmt::format("architecture \"{}\" {} experts, but {} says {}", keys.architecture(),
                    moe ? "has no" : "needs", keys.key("expert_count"), moe ? "otherwise" : "0"));
  throw Error(ErrorCode::unsupported_model, keys.metadata().file(),
              fmt::format("model architecture \"{}\" is not supported", keys.architecture()),
              "supported are " + supported_list());
}

std::int64_t size_of(Dim dim, const ModelConfig& config) {
  switch (dim) {
    case Dim::none:
      return 0;
    case Dim::dim:
      return config.dim;
    case Dim::q_width:
      return config.q_width();
    case Dim::kv_width:
      return config.kv_width();
    case Dim::head_dim:
      return config.head_dim;
    case Dim::ffn_dim:
      return config.ffn_dim;
    case Dim::experts:
      return config.experts;
    case Dim::expert_ffn_dim:
      return config.expert_ffn_dim;
    case Dim::vocab:
      return config.vocab;
  }
  return 0;
}

}  // namespace strata
