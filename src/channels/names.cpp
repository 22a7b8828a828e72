#include <algorithm>

#include <carillon/channels/channel_layer.hpp>

namespace carillon {

namespace {

bool is_name_char(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

} // namespace

bool is_group_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= channel_name_chars_max &&
           std::ranges::all_of(name, is_name_char);
}

bool is_channel_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > channel_name_chars_max)
        return false;
    const auto bang = name.find('!');
    if (bang == std::string_view::npos)
        return std::ranges::all_of(name, is_name_char);
    return bang > 0 && std::ranges::all_of(name.substr(0, bang), is_name_char) &&
           std::ranges::all_of(name.substr(bang + 1), is_name_char);
}

} // namespace carillon
