// HTTP as a client writes and reads it: the head of a request, the head of an answer.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/web/scope.hpp>

namespace carillon::testing {

std::string_view header_of(const name_value_list& headers, std::string_view name) noexcept;
bool has_header(const name_value_list& headers, std::string_view name) noexcept;

// The head with its empty line: `headers`, then those of `defaults` whose names are not among them. Throws
// carillon::error (invalid) for a method, path or header that would not be one line of HTTP.
std::string request_head(std::string_view method, std::string_view path,
                         const name_value_list& headers, const name_value_list& defaults);

struct answer_head {
    int status = 0;
    name_value_list headers;
    std::size_t bytes = 0; // with its empty line
};
// The head at the front of `text`; nothing while it is cut. Interim answers (1xx but 101) are passed over. Throws
// carillon::error (corrupt) for what is no answer.
std::optional<answer_head> read_answer_head(std::string_view text);

} // namespace carillon::testing
