#include "wire/http/rules.hpp"

#include <algorithm>

#include "wire/http/target.hpp"
#include "wire/http/token.hpp"

namespace carillon::wire::http {

namespace {

constexpr std::size_t length_digits_max = 18; // below 2^63

std::size_t count(const request_head& head, std::string_view name) {
    return static_cast<std::size_t>(
        std::count_if(head.headers.begin(), head.headers.end(),
                      [&](const header& h) { return iequals(h.name, name); }));
}

// Section 6.1: chunked is the last coding and stands once. Others before it are legal, but not implemented.
refusal read_transfer_encoding(request_head& head) {
    if (head.version_minor == 0)
        return {400, "Transfer-Encoding in HTTP/1.0"};
    const auto value = head.joined("Transfer-Encoding");
    list_reader list(value);
    std::size_t codings = 0;
    std::size_t chunked = 0;
    bool chunked_last = false;
    while (const auto coding = list.next()) {
        ++codings;
        chunked_last = iequals(*coding, "chunked");
        chunked += chunked_last;
    }
    if (!chunked_last || chunked != 1)
        return {400, "a Transfer-Encoding that does not end with one chunked"};
    if (codings != 1)
        return {501, "a transfer coding other than chunked"};
    head.chunked = true;
    return {};
}

refusal read_content_length(request_head& head) {
    const auto value = head.find("Content-Length");
    // Equal lengths given twice may be joined or refused (RFC 9110 section 8.6); a proxy before us may join otherwise.
    if (count(head, "Content-Length") != 1)
        return {400, "several Content-Length headers"};
    if (value.empty() || value.size() > length_digits_max)
        return {400, "a malformed Content-Length"};
    std::uint64_t length = 0;
    for (const char c : value) {
        if (c < '0' || c > '9')
            return {400, "a malformed Content-Length"};
        length = length * 10 + static_cast<std::uint64_t>(c - '0');
    }
    head.content_length = length;
    return {};
}

refusal read_framing(request_head& head) {
    const bool coded = head.has("Transfer-Encoding");
    const bool counted = head.has("Content-Length");
    if (coded && counted)
        return {400, "both Content-Length and Transfer-Encoding"};
    if (coded)
        return read_transfer_encoding(head);
    return counted ? read_content_length(head) : refusal{};
}

refusal read_expectation(request_head& head) {
    if (!head.has("Expect") || head.version_minor == 0)
        return {};
    if (!iequals(head.joined("Expect"), "100-continue"))
        return {417, "an expectation other than 100-continue"};
    head.expects_continue = true;
    return {};
}

// Section 3.2.2: the authority of an absolute target counts, and what Host says does not.
refusal reduce_absolute_target(request_head& head) {
    const std::string_view target = head.target;
    const auto colon = target.find("://");
    const auto scheme = target.substr(0, colon == std::string_view::npos ? 0 : colon);
    if (!iequals(scheme, "http") && !iequals(scheme, "https"))
        return {400, "a target that is neither a path nor an http URL"};
    const auto rest = target.substr(colon + 3);
    const auto path_at = std::min(rest.find_first_of("/?"), rest.size());
    const std::string authority(rest.substr(0, path_at));
    if (!parse_host(authority))
        return {400, "a target with a malformed authority"};
    std::string path(rest.substr(path_at));
    if (path.empty() || path.front() == '?')
        path.insert(0, 1, '/');
    head.target = std::move(path);
    const auto host = std::find_if(head.headers.begin(), head.headers.end(),
                                   [](const header& h) { return iequals(h.name, "Host"); });
    if (host != head.headers.end())
        host->value = authority;
    else
        head.headers.push_back({"Host", authority});
    return {};
}

refusal read_target(request_head& head) {
    if (head.method == "CONNECT")
        return {501, "CONNECT is for proxies"};
    if (head.target.find('#') != std::string::npos)
        return {400, "a target with a fragment"};
    if (head.target.front() == '/' || (head.target == "*" && head.method == "OPTIONS"))
        return {};
    return reduce_absolute_target(head);
}

refusal check_host(const request_head& head) {
    const auto hosts = count(head, "Host");
    if (hosts > 1)
        return {400, "several Host headers"};
    if (hosts == 0)
        return head.version_minor == 0 ? refusal{} : refusal{400, "no Host header"};
    const auto host = head.find("Host");
    // Section 3.2: empty where the target has no authority.
    return host.empty() || parse_host(host) ? refusal{} : refusal{400, "a malformed Host header"};
}

} // namespace

refusal apply_rules(request_head& head) {
    for (auto* rule : {&read_framing, &read_expectation})
        if (const auto found = rule(head))
            return found;
    if (const auto found = check_host(head))
        return found;
    return read_target(head);
}

} // namespace carillon::wire::http
