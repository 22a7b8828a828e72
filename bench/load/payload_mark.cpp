#include "load/payload_mark.hpp"

#include <charconv>

namespace carillon::bench {

namespace {

// The number behind `name`: only quotes, backslashes, blanks and one separator may stand between.
// `at` moves behind it.
template <class Number>
bool read_number(std::string_view text, std::size_t& at, std::string_view name, Number& number) {
    std::size_t from = text.find(name, at);
    if (from == std::string_view::npos)
        return false;
    from = text.find_first_not_of("\\\" :=", from + name.size());
    if (from == std::string_view::npos)
        return false;
    auto [end, failed] = std::from_chars(text.data() + from, text.data() + text.size(), number);
    at = static_cast<std::size_t>(end - text.data());
    return failed == std::errc{};
}

} // namespace

void write_mark(std::string& out, payload_mark mark, std::size_t bytes) {
    constexpr std::string_view tail = "\"}";
    out = "{\"ts\":" + std::to_string(mark.sent_ns) + ",\"seq\":" + std::to_string(mark.sequence) +
          ",\"pad\":\"";
    if (out.size() + tail.size() < bytes)
        out.append(bytes - out.size() - tail.size(), 'x');
    out += tail;
}

std::optional<payload_mark> find_mark(std::string_view text) noexcept {
    // `ts` alone would also be found inside other words; a quote stands before it, escaped or not.
    for (std::size_t at = text.find("\"ts"); at != std::string_view::npos;
         at = text.find("\"ts", at + 1)) {
        payload_mark mark{};
        std::size_t end = at;
        if (read_number(text, end, "ts", mark.sent_ns) &&
            read_number(text, end, "seq", mark.sequence))
            return mark;
    }
    return std::nullopt;
}

} // namespace carillon::bench
