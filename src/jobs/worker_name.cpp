#include "jobs/worker_name.hpp"

#include <unistd.h>

#include <array>

namespace carillon::jobs {

std::string worker_name(std::string_view pattern, std::string_view host) {
    const auto dot = host.find('.');
    std::string name;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char mark = pattern[i] == '%' && i + 1 < pattern.size() ? pattern[i + 1] : '\0';
        if (mark == 'h')
            name += host;
        else if (mark == 'n')
            name += host.substr(0, dot);
        else if (mark == 'd')
            name += dot == std::string_view::npos ? std::string_view() : host.substr(dot + 1);
        else if (mark == '%')
            name += '%';
        else {
            name += pattern[i];
            continue;
        }
        ++i;
    }
    if (name.find('@') == std::string::npos)
        name.append("@").append(host);
    return name;
}

std::string host_name() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0')
        return "localhost";
    return host.data();
}

std::string origin_name() { return "gen" + std::to_string(::getpid()) + "@" + host_name(); }

} // namespace carillon::jobs
