// One signature without parts, as a message. Used by the plans of workflows.
#pragma once

#include <optional>

#include "wire/celery/signature.hpp"

namespace carillon::wire::celery {

// The message of a plain signature; `chain` is what follows it, null where it is in no chain. Failures are those of
// send_signature().
result<outgoing> message_of(const signature& s, const sending& with, const value* in_front,
                            value chain);
// What follows the signature: first the chain that it has of its own, then `then`; null where there is neither.
value chain_of(const signature& s, const std::optional<array>& then);
// Null, a list, or a list of the one thing that is there.
value list_or_null(const value& v);

} // namespace carillon::wire::celery
