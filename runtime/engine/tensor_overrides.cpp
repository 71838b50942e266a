#include "runtime/engine/tensor_overrides.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
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

  bool matches(std::string_view name, bool follows) {
    const int rc = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(),
                               0, 0, data_.get(), context_.get());
    if (rc == PCRE2_ERROR_NOMATCH) return false;
    if (rc < 0)
      refuse(fmt::format("\"{}\" cannot be matched with {}: {}", source_.pattern, name,
                         message_of(rc)),
             "a simpler pattern");
    used_ = true;
    places_ = places_ || !follows;
    return true;
  }

  const TensorOverride& source() const { return source_; }
  bool used() const { return used_; }
  /// It matches something that does not follow other tensors.
  bool places() const { return places_; }

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
  bool places_ = false;
};

// A tensor by its place in the model.
struct Place {
  std::size_t layer = 0;
  bool attention = false;
  bool matrix = false;  ///< it is multiplied with, and no router
};

bool is_router(std::string_view name) {
  return name == "ffn_gate_inp.weight" || name == "mlp.gate.weight" ||
         name == "block_sparse_moe.gate.weight";
}

// Of "blk.12.ffn_up.weight" or "model.layers.12.mlp.up_proj.weight"; empty for what belongs to no
// layer.
std::optional<Place> place_of(const TensorInfo& tensor, std::size_t layers) {
  for (const std::string_view prefix : {"blk.", "model.layers."}) {
    if (!tensor.name.starts_with(prefix)) continue;
    std::string_view rest = std::string_view(tensor.name).substr(prefix.size());
    Place place;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), place.layer);
    const bool whole = error == std::errc() && end != rest.data() + rest.size() && *end == '.';
    if (!whole || place.layer >= layers) continue;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()) + 1);
    place.attention = rest.starts_with("attn") || rest.starts_with("self_attn");
    place.matrix = tensor.rows() > 1 && !is_router(rest);
    return place;
  }
  return std::nullopt;
}

bool is_output(std::string_view name) {
  return name == "output.weight" || name == "lm_head.weight";
}

/// A layer's half, or the output, while rules are applied.
struct Part {
  int matrices = 0;
  int named = 0;  ///< of them
  std::optional<DeviceId> device;

  void put(const DeviceId& wanted, const std::string& what) {
    ++named;
    if (device && *device != wanted)
      refuse(fmt::format("puts matrices of {} on {} and on {}", what, to_string(*device),
                         to_string(wanted)),
             "one device for the matrices of a layer's attention, one for its feed-forward ones");
    device = wanted;
  }
};

std::string name_of(const Place& place) {
  return fmt::format("the {} of layer {}", place.attention ? "attention" : "feed-forward network",
                     place.layer);
}

// Halves of which some, but not all, matrices were named.
std::string note_of(std::span<const Part> halves) {
  const auto follow = std::count_if(halves.begin(), halves.end(), [](const Part& half) {
    return half.named > 0 && half.named < half.matrices;
  });
  if (follow == 0) return {};
  return fmt::format(
      "{} hal{} of layers follow{} those of {} matrices that -ot, --cpu-moe or --n-cpu-moe names: "
      "attention is computed on one device, and so is a feed-forward network",
      follow, follow == 1 ? "f" : "ves", follow == 1 ? "s" : "", follow == 1 ? "its" : "their");
}

void note_rules(std::span<const Rule> rules, std::vector<std::string>& notes) {
  for (const Rule& rule : rules) {
    const std::string& pattern = rule.source().pattern;
    if (!rule.used())
      notes.push_back(fmt::format("-ot: \"{}\" matches no tensor of this model", pattern));
    else if (!rule.places())
      notes.push_back(
          fmt::format("-ot: \"{}\" matches only norms, biases or routers, which are where the "
                      "matrices of their half of the layer are",
                      pattern));
  }
}

// `follows`: the tensor is where others are.
Rule* first_match(std::span<Rule> rules, std::string_view name, bool follows) {
  Rule* first = nullptr;
  for (Rule& rule : rules) {
    if (!rule.matches(name, follows)) continue;
    if (first == nullptr) first = &rule;
  }
  return first;
}

}  // namespace

bool OverriddenLayers::any() const {
  return output || std::any_of(layers.begin(), layers.end(), [](const OverriddenLayer& layer) {
           return layer.attention || layer.feed_forward;
         });
}

OverriddenLayers override_layers(const Model& model, std::span<const TensorOverride> rules) {
  const auto count = static_cast<std::size_t>(model.config().layers);
  std::vector<Rule> compiled;
  compiled.reserve(rules.size());
  for (const TensorOverride& rule : rules) compiled.emplace_back(rule);
  std::vector<Part> halves(2 * count);  // attention and feed-forward by turns
  Part output;
  for (const TensorInfo& tensor : model.file().tensors()) {
    const std::optional<Place> place = place_of(tensor, count);
    Part* const half = place ? &halves[2 * place->layer + (place->attention ? 0 : 1)] : nullptr;
    const bool follows = place ? !place->matrix : tensor.rows() == 1;
    const Rule* const rule = first_match(compiled, tensor.name, follows);
    if (place && place->matrix) ++half->matrices;
    if (rule == nullptr || follows) continue;
    if (place) half->put(rule->source().device, name_of(*place));
    if (is_output(tensor.name)) output.put(rule->source().device, "the output");
  }
  OverriddenLayers result;
  for (std::size_t i = 0; i < count; ++i)
    result.layers.push_back({halves[2 * i].device, halves[2 * i + 1].device});
  result.output = output.device;
  note_rules(compiled, result.notes);
  if (std::string note = note_of(halves); !note.empty()) result.notes.push_back(std::move(note));
  return result;
}

std::string override_text(const OverriddenLayers& overridden, bool hugging_face) {
  const char* const layer = hugging_face ? "layers" : "blk";
  const char* const halves[] = {"", hugging_face ? "self_attn" : "attn_",
                                hugging_face ? "(mlp|block_sparse_moe)" : "ffn_"};
  // By device the layers of which it has all, attention, the feed-forward half.
  std::map<std::string, std::array<std::string, 3>> lists;
  const auto add = [](std::string& list, std::size_t number) {
    list += fmt::format("{}{}", list.empty() ? "" : "|", number);
  };
  for (std::size_t i = 0; i < overridden.layers.size(); ++i) {
    const auto& [attention, feed_forward] = overridden.layers[i];
    const bool whole = attention && attention == feed_forward;
    if (attention) add(lists[to_string(*attention)][whole ? 0 : 1], i);
    if (feed_forward && !whole) add(lists[to_string(*feed_forward)][2], i);
  }
  std::string text;
  const auto add_rule = [&text](const std::string& pattern, const std::string& device) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", pattern, device);
  };
  for (const auto& [device, of_device] : lists)
    for (std::size_t i = 0; i < of_device.size(); ++i)
      if (!of_device[i].empty())
        add_rule(fmt::format("{}\\.({})\\.{}", layer, of_device[i], halves[i]), device);
  if (overridden.output)
    add_rule(hugging_face ? "^lm_head" : "^output", to_string(*overridden.output));
  return text;
}

}  // namespace strata
