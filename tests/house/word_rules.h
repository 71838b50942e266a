#pragma once

#include <string>
#include <vector>

#include "tests/house/source_text.h"

namespace strata::house {

/// One "path:line: ..." for each thing a source file must not say:
/// - std::regex, anywhere: it recurses on input depth;
/// - in libraries (runtime, backends, net, server): ending the process, or printing. They throw
///   strata::Error and leave both to the programs in apps.
/// - in runtime, net, server and apps: a header of one GPU vendor; those belong to its backend.
std::vector<std::string> word_violations(const std::vector<SourceFile>& files);

}  // namespace strata::house
