// The members of an object as a text or a message names them, which may name one twice.
#pragma once

#include <vector>

#include <carillon/base/value.hpp>

namespace carillon::wire {

// Of equal names the last value wins and the first place stays, as in Python and in browsers. Costs n log n.
object without_duplicates(std::vector<object::member>&& all);

} // namespace carillon::wire
