// JSON text to value and back.
#pragma once

#include <string>
#include <string_view>

#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

namespace carillon {

// Nesting deeper than this is refused: errc::too_large.
inline constexpr std::size_t json_depth_max = 64;

// Reads one JSON text (RFC 8259) in valid UTF-8. Of equal member names the last one wins. Integers from
// INT64_MIN to UINT64_MAX stay integers, larger ones become doubles; a number that no double can hold is refused.
// errc::bad_request names what is wrong and at which byte.
result<value> parse_json(std::string_view text);

// Writes without spaces. Text that is not valid UTF-8 gets U+FFFD for what is wrong; bytes are written as base64 text;
// NaN and infinities as null (RFC 8259 has none of them). A whole double keeps its ".0". `</` is written `<\/` and
// `<!` is written `<\u0021`, so that the text may stand inside a script element.
std::string to_json(const value& v);
// The same at the end of a text that exists already.
void append_json(std::string& out, const value& v);
void append_json_string(std::string& out, std::string_view text);

} // namespace carillon
