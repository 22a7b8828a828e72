// Hosts, and which of them are allowed.
#include <algorithm>

#include "wire/http/target.hpp"
#include "wire/http/token.hpp"

namespace carillon::wire::http {

namespace {

bool all_of(std::string_view text, std::string_view allowed) {
    return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

bool sound_port(std::string_view text, std::uint16_t& out) {
    unsigned port = 0;
    if (text.find_first_not_of("0123456789") != std::string_view::npos || text.size() > 5)
        return false;
    for (const char c : text)
        port = port * 10 + static_cast<unsigned>(c - '0');
    out = static_cast<std::uint16_t>(port);
    return port <= 65535;
}

// Django's is_same_domain; `pattern` in any case.
bool same_domain(std::string_view host, std::string_view pattern) noexcept {
    if (pattern.empty() || host.empty())
        return false;
    if (iequals(host, pattern))
        return true;
    if (pattern[0] != '.')
        return false;
    return iequals(host, pattern.substr(1)) ||
           (host.size() > pattern.size() &&
            iequals(host.substr(host.size() - pattern.size()), pattern));
}

// The parts of an origin, or of an entry of the allow list, as Python's urlparse finds them.
struct origin_parts {
    std::string scheme;
    std::optional<std::string> host;
    int port = 0; // of the scheme where none is given; 0: unknown
    bool sound = true;
};

std::string scheme_of(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0)
        return {};
    auto scheme = to_lower(text.substr(0, colon));
    const bool letter = scheme[0] >= 'a' && scheme[0] <= 'z';
    return letter && all_of(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") ? scheme
                                                                               : std::string();
}

// `//user@host:port/…` after the scheme.
void read_authority(std::string_view rest, origin_parts& parts) {
    if (!rest.starts_with("//"))
        return;
    auto authority = rest.substr(2);
    authority = authority.substr(0, authority.find_first_of("/?#"));
    if (const auto at = authority.rfind('@'); at != std::string_view::npos)
        authority.remove_prefix(at + 1);
    const auto bracket = authority.find(']');
    const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
        std::uint16_t port = 0;
        parts.sound = sound_port(authority.substr(colon + 1), port);
        parts.port = port;
        authority = authority.substr(0, colon);
    }
    if (!authority.empty())
        parts.host = to_lower(authority);
}

origin_parts split_origin(std::string_view text) {
    origin_parts parts;
    parts.scheme = scheme_of(text);
    const bool has_scheme = !parts.scheme.empty();
    read_authority(has_scheme ? text.substr(parts.scheme.size() + 1) : text, parts);
    if (parts.port == 0 && (parts.scheme == "http" || parts.scheme == "ws"))
        parts.port = 80;
    if (parts.port == 0 && (parts.scheme == "https" || parts.scheme == "wss"))
        parts.port = 443;
    return parts;
}

bool entry_allows(const origin_parts& origin, std::string_view entry) {
    const auto wanted = split_origin(entry);
    if (wanted.scheme.empty()) {
        origin_parts bare;
        read_authority("//" + std::string(entry), bare);
        return same_domain(*origin.host, bare.host ? std::string_view(*bare.host) : entry);
    }
    return wanted.sound && wanted.host && wanted.scheme == origin.scheme &&
           wanted.port == origin.port && same_domain(*origin.host, *wanted.host);
}

} // namespace

std::optional<host_port> parse_host(std::string_view text) {
    host_port out;
    auto port_at = text.find(':');
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos || (close + 1 < text.size() && text[close + 1] != ':'))
            return std::nullopt;
        const auto address = text.substr(1, close - 1);
        if (!all_of(address, "0123456789abcdefABCDEF:.") ||
            address.find(':') == std::string_view::npos)
            return std::nullopt;
        port_at = close + 1 < text.size() ? close + 1 : std::string_view::npos;
        out.host = to_lower(text.substr(0, close + 1));
    } else {
        out.host = to_lower(text.substr(0, port_at));
        if (!all_of(out.host, "abcdefghijklmnopqrstuvwxyz0123456789.-_"))
            return std::nullopt;
    }
    if (port_at != std::string_view::npos && !sound_port(text.substr(port_at + 1), out.port))
        return std::nullopt;
    return out;
}

bool host_allowed(std::string_view host, const std::vector<std::string>& allowed) noexcept {
    if (host.ends_with('.')) // the root, which Django takes off too
        host.remove_suffix(1);
    return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& pattern) {
        return pattern == "*" || same_domain(host, pattern);
    });
}

bool origin_allowed(std::optional<std::string_view> origin,
                    const std::vector<std::string>& allowed) {
    if (std::find(allowed.begin(), allowed.end(), "*") != allowed.end())
        return true;
    if (!origin)
        return false;
    const auto parts = split_origin(*origin);
    if (!parts.sound || !parts.host)
        return false;
    return std::any_of(allowed.begin(), allowed.end(),
                       [&](const std::string& entry) { return entry_allows(parts, entry); });
}

} // namespace carillon::wire::http
