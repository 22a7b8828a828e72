#include "channels/relay_frame.hpp"

#include <algorithm>

#include <carillon/channels/channel_layer.hpp>
#include <carillon/wire/json.hpp>

namespace carillon {

namespace {

constexpr std::size_t length_bytes = 4;

bool holds_bytes(const value& v) {
    if (auto* items = v.if_array())
        return std::ranges::any_of(*items, holds_bytes);
    if (auto* members = v.if_object())
        return std::ranges::any_of(*members, [](const auto& m) { return holds_bytes(m.second); });
    return v.is_bytes();
}

} // namespace

result<std::string> encode_relayed(bool to_group, std::string_view name, const event& what) {
    value members(what.members());
    if (holds_bytes(members))
        return failure{errc::invalid, "an event that holds bytes cannot pass the relay"};
    object whole;
    whole.append("to", to_group ? "group" : "channel");
    whole.append("name", name);
    whole.append("type", what.type());
    whole.append("members", std::move(members));
    std::string frame(length_bytes, '\0');
    append_json(frame, whole);
    const auto size = frame.size() - length_bytes;
    if (size > relay_frame_bytes_max)
        return failure{errc::too_large, "an event is too large for the relay"};
    for (std::size_t i = 0; i < length_bytes; ++i)
        frame[i] = static_cast<char>((size >> (8 * (length_bytes - 1 - i))) & 0xff);
    return frame;
}

result<relayed_event> decode_relayed(std::string_view json) {
    auto parsed = parse_json(json);
    if (!parsed)
        return parsed.error();
    const auto& whole = *parsed;
    const auto to = whole["to"].to_text(), name = whole["name"].to_text(),
               type = whole["type"].to_text();
    auto* members = whole["members"].if_object();
    const bool to_group = to == "group";
    if ((!to_group && to != "channel") || type.empty() || is_reserved_event_type(type) ||
        !members || members->find("type") ||
        !(to_group ? is_group_name(name) : is_channel_name(name)))
        return failure{errc::bad_request, "a frame of the relay is no event"};
    return relayed_event{to_group, std::string(name), event(std::string(type), *members)};
}

void relay_splitter::append(std::string_view more) {
    buffer_.erase(0, std::exchange(used_, 0));
    buffer_.append(more);
}

result<std::string_view> relay_splitter::next() {
    const auto unread = std::string_view(buffer_).substr(used_);
    if (unread.size() < length_bytes)
        return std::string_view();
    std::size_t size = 0;
    for (std::size_t i = 0; i < length_bytes; ++i)
        size = (size << 8) | static_cast<unsigned char>(unread[i]);
    if (size > relay_frame_bytes_max || size == 0)
        return failure{errc::too_large, "a frame of the relay announces an impossible length"};
    if (unread.size() < length_bytes + size)
        return std::string_view();
    used_ += length_bytes + size;
    return unread.substr(length_bytes, size);
}

} // namespace carillon
