// Which close codes may stand on the wire (RFC 6455 section 7.4, and IANA's registry for 1012 to
// 1014).
#pragma once

#include <cstdint>

namespace carillon::wire::ws {

constexpr bool may_be_received(std::uint16_t code) noexcept {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

} // namespace carillon::wire::ws
