#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// Holds back text that may be the beginning of a stop string, and cuts the answer at the first one
/// that is complete (of several, the longest), however the text is cut into pieces. Empty stop
/// strings are ignored. For one thread.
class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops);

  /// Text that is certain now that `text` has come. After stopped() nothing more comes out.
  std::string push(std::string_view text);
  /// What is still held at the end of the answer.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::size_t held_suffix() const;
  std::size_t first_stop() const;

  std::vector<std::string> stops_;
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace strata
