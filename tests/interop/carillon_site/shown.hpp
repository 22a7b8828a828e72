// Events as JSON and back, for tests: bytes are shown as {"__bytes_hex__": "00ff"}.
#pragma once

#include <carillon/channels/event.hpp>

namespace interop {

// The value with every bytes as an object that holds its hexadecimal digits.
carillon::value shown(const carillon::value& content);
// The whole event, "type" first.
carillon::value shown(const carillon::event& e);

// The reverse. Throws carillon::error (invalid) for what is no event.
carillon::value meant(const carillon::value& content);
carillon::event meant_event(const carillon::value& content);

} // namespace interop
