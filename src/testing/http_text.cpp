#include "testing/http_text.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "web/text.hpp"
#include "wire/http/response.hpp"

namespace carillon::testing {

namespace {

bool is_one_word(std::string_view text) noexcept {
    return !text.empty() && std::ranges::none_of(text, [](char c) {
        return static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
    });
}

void add_header(std::string& head, const name_value& one) {
    if (!wire::http::may_be_written(one.first, one.second))
        throw error(errc::invalid, fmt::format("'{}' is no header that can be sent", one.first));
    head += fmt::format("{}: {}\r\n", one.first, one.second);
}

name_value header_line(std::string_view line) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
        throw error(errc::corrupt, "the server's answer has a header without a colon");
    return {std::string(line.substr(0, colon)), std::string(web::trimmed(line.substr(colon + 1)))};
}

int status_of(std::string_view line) {
    int status = 0;
    const auto code = line.substr(0, 12).substr(std::min<std::size_t>(9, line.size()));
    const auto [end, problem] = std::from_chars(code.data(), code.data() + code.size(), status);
    if (!line.starts_with("HTTP/1.1 ") || problem != std::errc{} || end != code.data() + 3)
        throw error(errc::corrupt, "what the server sent is no answer");
    return status;
}

} // namespace

std::string_view header_of(const name_value_list& headers, std::string_view name) noexcept {
    for (const auto& [its_name, content] : headers)
        if (web::equal_ignoring_case(its_name, name))
            return content;
    return {};
}

bool has_header(const name_value_list& headers, std::string_view name) noexcept {
    return std::ranges::any_of(
        headers, [&](const auto& one) { return web::equal_ignoring_case(one.first, name); });
}

std::string request_head(std::string_view method, std::string_view path,
                         const name_value_list& headers, const name_value_list& defaults) {
    if (!is_one_word(method) || !is_one_word(path) || path.front() != '/')
        throw error(errc::invalid, fmt::format("'{} {}' is no request: a method, and a path that "
                                               "begins with / and holds no blanks",
                                               method, path));
    auto head = fmt::format("{} {} HTTP/1.1\r\n", method, path);
    for (const auto& one : headers)
        add_header(head, one);
    for (const auto& one : defaults)
        if (!has_header(headers, one.first))
            add_header(head, one);
    return head + "\r\n";
}

std::optional<answer_head> read_answer_head(std::string_view text) {
    constexpr std::string_view line_end = "\r\n";
    answer_head read;
    do {
        const auto end = text.find("\r\n\r\n", read.bytes);
        if (end == std::string_view::npos)
            return {};
        auto lines = text.substr(read.bytes, end - read.bytes);
        read.headers.clear();
        const auto first = lines.find(line_end);
        read.status = status_of(lines.substr(0, first));
        lines.remove_prefix(first == std::string_view::npos ? lines.size() : first + 2);
        while (!lines.empty()) {
            const auto next = std::min(lines.find(line_end), lines.size());
            read.headers.push_back(header_line(lines.substr(0, next)));
            lines.remove_prefix(std::min(next + 2, lines.size()));
        }
        read.bytes = end + 4;
    } while (read.status < 200 && read.status != 101);
    return read;
}

} // namespace carillon::testing
