#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/house/source_text.h"

namespace strata::house {

/// Who may include whom: the table of docs/ARCHITECTURE.md. A key is a folder ("runtime/ops/"); its
/// set holds folders, single headers ("backends/registry.h", "backends/*/backend.h") or "*".
using IncludeTable = std::map<std::string, std::set<std::string>, std::less<>>;

/// Reads the table out of a Markdown page: the rows under the heading cells "folder", ..., "may
/// include". In the first and the last cell only what stands in backticks counts. A folder may
/// include what its row names and all that lies below that. Empty if the page has no such table.
IncludeTable parse_include_table(std::string_view markdown);

/// One "path:line: what is wrong" for each include that the table does not allow, each header that
/// is not found, and each file whose folder has no row. `known` holds every file of the tree.
std::vector<std::string> include_violations(const std::vector<SourceFile>& files,
                                            const std::set<std::string>& known,
                                            const IncludeTable& table);

}  // namespace strata::house
