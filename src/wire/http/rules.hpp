// What a request's head must hold beyond its grammar: framing, host and target (RFC 9112 sections 3 and 6).
#pragma once

#include "wire/http/lines.hpp"
#include "wire/http/request.hpp"

namespace carillon::wire::http {

// Judges a head whose method, target, version_minor and headers are set. Sets chunked, content_length and
// expects_continue, and reduces an absolute target to origin form with its authority as the Host header.
refusal apply_rules(request_head& head);

} // namespace carillon::wire::http
