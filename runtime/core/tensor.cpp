#include "runtime/core/tensor.h"

namespace strata {

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (int i = 0; i < shape.rank; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + ")";
}

std::string_view layout_name(Layout layout) {
  switch (layout) {
    case Layout::rows:
      return "rows";
    case Layout::panels16:
      return "panels16";
    case Layout::planes16:
      return "planes16";
    case Layout::quantized:
      return "quantized";
    case Layout::rounded:
      return "rounded";
  }
  return "?";
}

}  // namespace strata
