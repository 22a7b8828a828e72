// Look-up in a request's head.
#include "wire/http/request.hpp"
#include "wire/http/token.hpp"

namespace carillon::wire::http {

std::string_view request_head::find(std::string_view name) const noexcept {
    for (const auto& h : headers)
        if (iequals(h.name, name))
            return h.value;
    return {};
}

bool request_head::has(std::string_view name) const noexcept {
    for (const auto& h : headers)
        if (iequals(h.name, name))
            return true;
    return false;
}

std::string request_head::joined(std::string_view name) const {
    std::string out;
    bool first = true;
    for (const auto& h : headers) {
        if (!iequals(h.name, name))
            continue;
        if (!first)
            out += ", ";
        out += h.value;
        first = false;
    }
    return out;
}

} // namespace carillon::wire::http
