#include "wire/celery/parts.hpp"

#include <fmt/format.h>

#include "wire/celery/json.hpp"

namespace carillon::wire::celery {

failure malformed(std::string_view what) { return {errc::bad_request, std::string(what)}; }

result<object> parse_object(std::string_view text, std::string_view part) {
    auto parsed = read_json(text);
    if (!parsed)
        return failure{parsed.error().code, fmt::format("{}: {}", part, parsed.error().message)};
    if (!parsed->is_object())
        return malformed(fmt::format("{} is no JSON object", part));
    return std::move(*parsed->if_object());
}

const value& at(const object& o, std::string_view name) noexcept {
    static const value nothing;
    const auto* there = o.find(name);
    return there ? *there : nothing;
}

std::string text_of(const object& o, std::string_view name) {
    return std::string(at(o, name).to_text());
}

value text_or_null(std::string_view text) { return text.empty() ? value() : value(text); }

result<value> json_body(const message_parts& parts, std::string_view what) {
    const auto type = text_of(parts.properties, "content_type");
    if (type != "application/json")
        return failure{errc::unsupported_media,
                       fmt::format("{}: content type `{}` is not read; expected application/json",
                                   what, std::string_view(type).substr(0, 80))};
    auto parsed = read_json(parts.body);
    if (!parsed)
        return failure{parsed.error().code, fmt::format("{}: {}", what, parsed.error().message)};
    return parsed;
}

message_parts json_parts(object headers, std::int64_t delivery_mode, const value& body) {
    message_parts parts;
    parts.headers = std::move(headers);
    parts.properties.append("content_type", "application/json");
    parts.properties.append("content_encoding", "utf-8");
    parts.properties.append("delivery_mode", delivery_mode);
    parts.properties.append("priority", 0);
    parts.body = write_json(body);
    return parts;
}

} // namespace carillon::wire::celery
