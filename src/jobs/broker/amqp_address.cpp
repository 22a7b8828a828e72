#include "jobs/broker/amqp_address.hpp"

#include <charconv>
#include <utility>

namespace carillon::jobs::amqp {

namespace {

constexpr std::size_t hosts_max = 32;
constexpr std::size_t name_bytes_max = 255; // a short string of the protocol

failure wrong(std::string_view what) {
    return {errc::invalid, "the AMQP URL is wrong: " + std::string(what) +
                               "; it should look like amqp://user:password@host:5672/vhost"};
}

int digit(char c) noexcept {
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
            return std::nullopt;
        out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
        i += 2;
    }
    return out.size() <= name_bytes_max ? std::optional(out) : std::nullopt;
}

// Cuts `text` at the first of `marks`: what is before it is returned, what is after it stays.
std::string_view cut(std::string_view& text, std::string_view marks) noexcept {
    const auto at = text.find_first_of(marks);
    const auto before = text.substr(0, at);
    text = at == text.npos ? std::string_view() : text.substr(at + 1);
    return before;
}

std::optional<failure> read_credentials(std::string_view text, endpoint& into) {
    const bool with_password = text.find(':') != text.npos;
    const auto user = percent_decoded(cut(text, ":"));
    const auto password = percent_decoded(text);
    if (!user || !password)
        return wrong("user or password is not percent-encoded as it should, or longer than 255");
    into.user = user->empty() ? "guest" : *user;
    into.password = with_password ? *password : user->empty() ? "guest" : "";
    return std::nullopt;
}

std::optional<failure> read_host(std::string_view text, endpoint& into) {
    std::string_view port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == text.npos)
            return wrong("an IPv6 address needs its closing bracket");
        into.host = text.substr(1, end - 1);
        port = text.substr(end + 1);
        if (!port.empty() && port[0] != ':')
            return wrong("after an IPv6 address only a port may follow");
    } else {
        const auto colon = text.find(':');
        into.host = text.substr(0, colon);
        port = colon == text.npos ? std::string_view() : text.substr(colon);
    }
    if (into.host.empty())
        into.host = "localhost";
    for (const char c : into.host)
        if (c <= ' ' || c == '\x7f')
            return wrong("the host name holds a blank");
    into.port = into.tls ? 5671 : 5672;
    if (port.size() < 2)
        return std::nullopt;
    const auto* last = port.data() + port.size();
    const auto [end, problem] = std::from_chars(port.data() + 1, last, into.port);
    if (problem != std::errc() || end != last || into.port == 0)
        return wrong("the port is a number from 1 to 65535");
    return std::nullopt;
}

std::optional<failure> read_parameter(std::string_view name, const std::string& content,
                                      address& into) {
    if (name == "cacertfile") {
        into.tls.ca_file = content;
    } else if (name == "certfile") {
        into.tls.certificate_file = content;
    } else if (name == "keyfile") {
        into.tls.key_file = content;
    } else if (name == "verify") {
        if (content != "verify_peer" && content != "verify_none")
            return wrong("verify is verify_peer or verify_none");
        into.tls.verify = content == "verify_peer";
    } else if (name == "heartbeat") {
        std::uint16_t seconds = 0;
        const auto* last = content.data() + content.size();
        const auto [end, problem] = std::from_chars(content.data(), last, seconds);
        if (problem != std::errc() || end != last)
            return wrong("heartbeat is a number of seconds from 0 to 65535");
        into.heartbeat = seconds;
    } else {
        return wrong("there is no parameter " + std::string(name));
    }
    return std::nullopt;
}

std::optional<failure> read_query(std::string_view text, address& into) {
    while (!text.empty()) {
        auto content = cut(text, "&");
        const auto name = cut(content, "=");
        const auto decoded = percent_decoded(content);
        if (!decoded)
            return wrong("the parameter " + std::string(name) + " is not percent-encoded");
        if (auto problem = read_parameter(name, *decoded, into))
            return problem;
    }
    return std::nullopt;
}

std::optional<failure> read_one(std::string_view text, address& into) {
    endpoint one;
    if (!into.hosts.empty()) {
        one = into.hosts.back();
    }
    const auto scheme = text.find("://");
    if (scheme != text.npos) {
        const auto name = text.substr(0, scheme);
        if (name != "amqp" && name != "amqps" && name != "pyamqp")
            return wrong("the scheme is amqp or amqps");
        one.tls = name == "amqps";
        text.remove_prefix(scheme + 3);
    } else if (into.hosts.empty()) {
        return wrong("it has no scheme");
    }
    const auto query = text.find('?');
    if (query != text.npos)
        if (auto problem = read_query(text.substr(query + 1), into))
            return problem;
    text = text.substr(0, query);
    const auto slash = text.find('/');
    if (slash != text.npos) {
        const auto vhost = percent_decoded(text.substr(slash + 1));
        if (!vhost)
            return wrong(
                "the virtual host is not percent-encoded as it should, or longer than 255");
        one.vhost = vhost->empty() ? "/" : *vhost;
    }
    auto host = text.substr(0, slash);
    const auto at = host.rfind('@');
    if (at != host.npos) {
        if (auto problem = read_credentials(host.substr(0, at), one))
            return problem;
        host.remove_prefix(at + 1);
    }
    if (auto problem = read_host(host, one))
        return problem;
    into.hosts.push_back(std::move(one));
    return std::nullopt;
}

} // namespace

std::string endpoint::name() const {
    const bool v6 = host.find(':') != std::string::npos;
    std::string out = tls ? "amqps://" : "amqp://";
    out += v6 ? "[" + host + "]" : host;
    out += ":" + std::to_string(port) + "/" + vhost;
    return out;
}

std::string address::name() const {
    std::string out;
    for (const auto& host : hosts)
        out += (out.empty() ? "" : ",") + host.name();
    return out;
}

result<address> parse_address(std::string_view urls) {
    address out;
    while (!urls.empty()) {
        const auto one = cut(urls, ";,");
        if (one.empty())
            continue;
        if (out.hosts.size() == hosts_max)
            return wrong("there are more than 32 hosts");
        if (auto problem = read_one(one, out))
            return *problem;
    }
    if (out.hosts.empty())
        return wrong("it is empty");
    return out;
}

} // namespace carillon::jobs::amqp
