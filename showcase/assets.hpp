// The showcase's pages and what they load, embedded into the program.
#pragma once

#include <carillon/web/assets.hpp>

#include <span>

namespace carillon::web {

// Pages ("/", "/reports/") and hashed files ("/assets/…"), sorted by path. A page holds the text
// __CARILLON_DEMO__ once; the server replaces it by 1 (started with --demo) or 0.
std::span<const asset> showcase_assets();

} // namespace carillon::web
