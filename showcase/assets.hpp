// The showcase's pages and what they load, embedded into the program.
#pragma once

#include <carillon/web/assets.hpp>

#include <span>

namespace showcase {

// Pages ("/", "/reports/") and hashed files ("/assets/…"), sorted by path.
std::span<const carillon::asset> assets();

} // namespace showcase
