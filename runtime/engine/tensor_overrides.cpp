#include "runtime/engine/tensor_overrides.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "runtime/core/error.h"

namespace strata {
namespace {

[[noreturn]] void refuse(std::string detail, std::string hint = {}) {
  throw Error(ErrorCode::usage, "-ot", std::move(detail), std::move(hint));
}

std::string message_of(int error) {
  PCRE2_UCHAR message[256] = {};
  pcre2_get_error_message(error, message, sizeof message);
  return reinterpret_cast<const char*>(message);
}

/// A compiled rule. Patterns come from the user, so a match may fail, but not run for ever.
class Rule {
 public:
  explicit Rule(const TensorOverride& source) : source_(source) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    const std::string& text = source.pattern;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, &error,
                              &offset, nullptr));
    if (!code_)
      refuse(fmt::format("\"{}\" is no regular expression: at {}, {}", text, offset,
                         message_of(error)),
             "the patterns are PCRE2's; a point is written \\.");
    context_.reset(pcre2_match_context_create(nullptr));
    data_.reset(pcre2_match_data_create(1, nullptr));
    if (!context_ || !data_) throw std::bad_alloc();
    constexpr std::uint32_t kMostSteps = 1'000'000;
    pcre2_set_match_limit(context_.get(), kMostSteps);
    pcre2_set_depth_limit(context_.get(), kMostSteps);
  }

  bool matches(std::string_view name) {
    const int rc = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(),
                               0, 0, data_.get(), context_.get());
    if (rc == PCRE2_ERROR_NOMATCH) return false;
    if (rc < 0)
      refuse(fmt::format("\"{}\" cannot be matched with {}: {}", source_.pattern, name,
                         message_of(rc)),
             "a simpler pattern");
    used_ = true;
    return true;
  }

  const TensorOverride& source() const { return source_; }
  bool used() const { return used_; }

 private:
  template <auto destroy>
  struct Destroy {
    template <class T>
    void operator()(T* handle) const {
      destroy(handle);
    }
  };
  const TensorOverride& source_;
  std::unique_ptr<pcre2_code, Destroy<pcre2_code_free>> code_;
  std::unique_ptr<pcre2_match_context, Destroy<pcre2_match_context_free>> context_;
  std::unique_ptr<pcre2_match_data, Destroy<pcre2_match_data_free>> data_;
  bool used_ = false;
};

// The layer of "blk.12.ffn_up.weight" or "model.layers.12.mlp.up_proj.weight"; `layers` for the
// output matrix; else empty.
std::optional<std::size_t> layer_of(std::string_view name, std::size_t layers) {
  if (name == "output.weight" || name == "lm_head.weight") return layers;
  for (std::string_view prefix : {"blk.", "model.layers."}) {
    if (!name.starts_with(prefix)) continue;
    const std::string_view rest = name.substr(prefix.size());
    std::size_t layer = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
    const bool whole = error == std::errc() && end != rest.data() + rest.size() && *end == '.';
    if (whole && layer < layers) return layer;
  }
  return std::nullopt;
}

// Layers of which some, but not all, tensors were named.
std::string note_of(const std::vector<int>& named, const std::vector<int>& all) {
  int follow = 0;
  for (std::size_t i = 0; i < named.size(); ++i)
    follow += named[i] > 0 && named[i] < all[i] ? 1 : 0;
  if (follow == 0) return {};
  return fmt::format(
      "{} layer{} follow{} those of {} tensors that -ot, --cpu-moe or --n-cpu-moe names: a layer "
      "is computed on one device",
      follow, follow == 1 ? "" : "s", follow == 1 ? "s" : "", follow == 1 ? "its" : "their");
}

}  // namespace

bool OverriddenLayers::any() const {
  return std::any_of(layers.begin(), layers.end(),
                     [](const auto& layer) { return layer.has_value(); });
}

OverriddenLayers override_layers(const Model& model, std::span<const TensorOverride> rules) {
  const auto count = static_cast<std::size_t>(model.config().layers);
  OverriddenLayers result;
  result.layers.resize(count + 1);
  std::vector<Rule> compiled;
  compiled.reserve(rules.size());
  for (const TensorOverride& rule : rules) compiled.emplace_back(rule);
  std::vector<int> named(count + 1), all(count + 1);
  for (const TensorInfo& tensor : model.file().tensors()) {
    const auto layer = layer_of(tensor.name, count);
    if (layer) ++all[*layer];
    const Rule* first = nullptr;
    for (Rule& rule : compiled)
      if (rule.matches(tensor.name) && first == nullptr) first = &rule;
    if (first == nullptr || !layer) continue;
    ++named[*layer];
    std::optional<DeviceId>& device = result.layers[*layer];
    const DeviceId wanted = first->source().device;
    if (device && *device != wanted)
      refuse(fmt::format("puts tensors of layer {} on {} and on {}", *layer, to_string(*device),
                         to_string(wanted)),
             "one device for all tensors of a layer");
    device = wanted;
  }
  for (const Rule& rule : compiled)
    if (!rule.used())
      result.notes.push_back(
          fmt::format("-ot: \"{}\" matches no tensor of this model", rule.source().pattern));
  if (std::string note = note_of(named, all); !note.empty())
    result.notes.push_back(std::move(note));
  return result;
}

}  // namespace strata
