// What the first bytes of a file tell: is it text, and which delimiter does it use?
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace showcase::reports {

// The delimiter among , ; tab | under which most rows of the sample have as many cells as the first
// row, more than one; more columns decide a tie, then that order. A comma when none splits the
// first row. `whole` says that the sample is the whole file, so that its last row is complete.
char guess_delimiter(std::string_view sample, bool whole);

// A sentence that says what kind of binary file this is; empty for what may be text. UTF-16 and
// UTF-32 count as binary here, with advice.
std::string describe_binary(std::string_view sample);

} // namespace showcase::reports
