// Helpers that the readers of this folder share: JSON parts with a reason when they are something else.
#pragma once

#include <string>
#include <string_view>

#include "wire/celery/message.hpp"

namespace carillon::wire::celery {

failure malformed(std::string_view what);

// errc::bad_request that names `part` where the text is no JSON object; the parser's code where it is no JSON.
result<object> parse_object(std::string_view text, std::string_view part);

// The member of that name; a null value stands for one that is missing.
const value& at(const object& o, std::string_view name) noexcept;
// The text under a name: empty where it is missing, null or of another kind.
std::string text_of(const object& o, std::string_view name);
value text_or_null(std::string_view text);

// The body of a message whose properties say JSON. errc::unsupported_media, or the parser's code, otherwise.
result<value> json_body(const message_parts& parts, std::string_view what);
// A message of ours in JSON, without correlation: what control, events and replies have in common.
message_parts json_parts(object headers, std::int64_t delivery_mode, const value& body);

} // namespace carillon::wire::celery
