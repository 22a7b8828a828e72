// What stands inside a request's head: target, query, cookies, quality lists, ranges, hosts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace carillon::wire::http {

using name_values = std::vector<std::pair<std::string, std::string>>;

// Percent-decoded; `+` stays. Nothing when an escape is malformed, or the result holds NUL or is not valid UTF-8.
std::optional<std::string> percent_decode(std::string_view text);
std::string percent_encode(std::string_view text); // keeps RFC 3986's unreserved characters

struct target {
    std::string path;       // percent-decoded, begins with '/'
    std::string_view query; // raw, without '?'; part of the text that was split
};
// Nothing when the path is malformed (see percent_decode) or does not begin with '/'.
std::optional<target> split_target(std::string_view origin_form);

// application/x-www-form-urlencoded, in order; `+` is a space. Malformed escapes stay as they are. At most `pairs_max`
// pairs are read, the rest is ignored.
name_values parse_form(std::string_view text, std::size_t pairs_max = 1000);

// Django's reading of a Cookie header: split at ';', then at the first '='; spaces trimmed; a piece without '=' has the
// empty name; quoted values are unquoted with backslash and octal escapes; of equal names the last wins.
name_values parse_cookies(std::string_view header);

// Whether Accept-Encoding allows gzip with a quality above 0 (RFC 9110 12.5.3).
bool accepts_gzip(std::string_view accept_encoding) noexcept;

struct byte_range {
    std::uint64_t first = 0;
    std::uint64_t last = 0; // inclusive
};
enum class range_kind { none, one, unsatisfiable };
// A Range header against a representation of `size_bytes` (RFC 9110 14.1.2). Several ranges, other units and malformed
// values count as none: the whole is sent.
range_kind parse_range(std::string_view header, std::uint64_t size_bytes, byte_range& out) noexcept;

// Whether an If-None-Match value names `etag` (weak comparison, RFC 9110 13.1.2) or is "*".
bool etag_matches(std::string_view if_none_match, std::string_view etag) noexcept;

struct host_port {
    std::string host;       // lower case; IPv6 in brackets
    std::uint16_t port = 0; // 0: none given
};
// A Host header's value, or the authority of an origin; nothing where malformed.
std::optional<host_port> parse_host(std::string_view text);

// Django's ALLOWED_HOSTS: "example.com" (equal), ".example.com" (it and its subdomains), "*" (all).
// `host` is lower case, without port.
bool host_allowed(std::string_view host, const std::vector<std::string>& allowed) noexcept;
// Channels' OriginValidator: an absent origin is allowed only by "*"; an origin without a host ("null") too. An entry
// without a scheme, as in ALLOWED_HOSTS, compares the host alone; one with a scheme ("https://example.com") scheme,
// host and port.
bool origin_allowed(std::optional<std::string_view> origin,
                    const std::vector<std::string>& allowed);

} // namespace carillon::wire::http
