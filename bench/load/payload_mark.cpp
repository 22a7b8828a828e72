#include "load/payload_mark.hpp"

#include <charconv>

namespace carillon::bench {

namespace {

constexpr std::string_view time_name = "ts=", sequence_name = " seq=";

} // namespace

void write_mark(std::string& out, payload_mark mark, std::size_t bytes) {
    out = "ts=" + std::to_string(mark.sent_ns) + " seq=" + std::to_string(mark.sequence) + " ";
    if (out.size() < bytes)
        out.append(bytes - out.size(), 'x');
}

std::optional<payload_mark> find_mark(std::string_view text) noexcept {
    const char* end = text.data() + text.size();
    for (std::size_t at = text.find(time_name); at != std::string_view::npos;
         at = text.find(time_name, at + 1)) {
        payload_mark mark{};
        auto [behind, failed] =
            std::from_chars(text.data() + at + time_name.size(), end, mark.sent_ns);
        std::string_view rest(behind, static_cast<std::size_t>(end - behind));
        if (failed != std::errc{} || !rest.starts_with(sequence_name))
            continue;
        rest.remove_prefix(sequence_name.size());
        if (std::from_chars(rest.data(), end, mark.sequence).ec == std::errc{})
            return mark;
    }
    return std::nullopt;
}

} // namespace carillon::bench
