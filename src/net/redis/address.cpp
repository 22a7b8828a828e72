#include "net/redis/address.hpp"

#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include <arpa/inet.h>

#include "wire/http/target.hpp"

namespace carillon::net::redis {

namespace {

constexpr std::uint16_t redis_port = 6379;
constexpr std::uint16_t sentinel_port = 26379;
// What of a URL may be a secret in the wrong place, so no error repeats any of it but a parameter's name.
constexpr std::string_view escapes =
    "in a user name or password write %40 for @, %3A for :, %2F for /, %3F for ?, %23 for #, "
    "%25 for %, %2C for a comma";

using maybe_failure = std::optional<failure>;

struct scheme {
    bool tls = false, local = false, sentinel = false, pubsub = false;
};

// The parts of one entry between commas.
struct parts {
    std::optional<std::string_view> scheme_name; // without "://"
    std::optional<std::string_view> user_info;
    std::string_view host, path, query; // the path with its first '/', the query without '?'
};

std::string ordinal(std::size_t n) { return "host " + std::to_string(n); }

failure wrong(std::size_t n, const std::string& what) {
    return {errc::invalid, "Redis " + ordinal(n) + ": " + what};
}

bool equal_letters(std::string_view a, std::string_view lower) {
    if (a.size() != lower.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if ((a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] + 32) : a[i]) != lower[i])
            return false;
    return true;
}

std::optional<scheme> read_scheme(std::string_view name) {
    scheme out;
    const auto base = name.substr(0, name.find('+'));
    out.tls = equal_letters(base, "rediss");
    out.local = equal_letters(base, "unix");
    if (!out.tls && !out.local && !equal_letters(base, "redis"))
        return std::nullopt;
    name.remove_prefix(base.size());
    while (!name.empty()) {
        name.remove_prefix(1);
        const auto word = name.substr(0, name.find('+'));
        name.remove_prefix(word.size());
        auto& flag = equal_letters(word, "pubsub") ? out.pubsub : out.sentinel;
        if ((&flag == &out.sentinel && !equal_letters(word, "sentinel")) ||
            std::exchange(flag, true))
            return std::nullopt;
    }
    if (out.local && out.sentinel)
        return std::nullopt;
    return out;
}

parts take_apart(std::string_view entry) {
    parts out;
    if (const auto mark = entry.find("://"); mark != std::string_view::npos) {
        out.scheme_name = entry.substr(0, mark);
        entry.remove_prefix(mark + 3);
    }
    if (const auto mark = entry.find('?'); mark != std::string_view::npos) {
        out.query = entry.substr(mark + 1);
        entry = entry.substr(0, mark);
    }
    const auto slash = std::min(entry.find('/'), entry.size());
    out.path = entry.substr(slash);
    auto authority = entry.substr(0, slash);
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        out.user_info = authority.substr(0, at);
        authority.remove_prefix(at + 1);
    }
    out.host = authority;
    return out;
}

template <class Number>
std::optional<Number> read_number(std::string_view text, Number most) {
    Number out{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (problem != std::errc() || end != text.data() + text.size() || out > most)
        return std::nullopt;
    return out;
}

bool is_host_name(std::string_view text) {
    constexpr std::string_view others = "-._";
    for (const char c : text)
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              others.find(c) != std::string_view::npos))
            return false;
    return text.size() <= 253;
}

// "name", "name:6379", "[::1]:6379"; nothing means localhost.
std::optional<std::string> read_endpoint(std::string_view text, std::uint16_t default_port,
                                         endpoint& out) {
    std::string_view host = text, port;
    bool has_port = false;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos)
            return "an IPv6 address ends in ]";
        host = text.substr(1, end - 1);
        const auto rest = text.substr(end + 1);
        has_port = rest.starts_with(':');
        if (!rest.empty() && !has_port)
            return "after ] comes a colon and the port, or nothing";
        port = has_port ? rest.substr(1) : rest;
        in6_addr parsed;
        if (::inet_pton(AF_INET6, std::string(host).c_str(), &parsed) != 1)
            return "between [ and ] stands an IPv6 address, such as [::1]";
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        has_port = true;
        if (port.find(':') != std::string_view::npos)
            return "more than one colon: an IPv6 address stands in brackets, such as [::1]:6379";
    }
    if (!text.starts_with('[') && !is_host_name(host))
        return "a host is a name of letters, digits, '-', '.' and '_', or an address; " +
               std::string(escapes);
    out.host = host.empty() ? "localhost" : std::string(host);
    out.port = default_port;
    if (has_port) {
        const auto number = read_number<std::uint16_t>(port, 65535);
        if (!number || *number == 0)
            return "the port is a number from 1 to 65535; " + std::string(escapes);
        out.port = *number;
    }
    return std::nullopt;
}

std::optional<std::string> read_database(std::string_view text, address& into) {
    const auto number = read_number<std::uint32_t>(text, std::numeric_limits<std::int32_t>::max());
    if (!number)
        return "the database is a number from 0, such as /0; " + std::string(escapes);
    into.database = *number;
    return std::nullopt;
}

std::optional<std::string> set_parameter(std::string_view name, std::string content,
                                         address& into) {
    if (name == "db")
        return read_database(content, into);
    if (name == "ssl_cert_reqs") {
        into.verify = content == "required";
        if (!into.verify && content != "none")
            return "ssl_cert_reqs is required or none";
        return std::nullopt;
    }
    std::string* const text = name == "ssl_ca_certs"        ? &into.ca_file
                              : name == "ssl_certfile"      ? &into.certificate_file
                              : name == "ssl_keyfile"       ? &into.key_file
                              : name == "sentinel_username" ? &into.sentinel_username
                              : name == "sentinel_password" ? &into.sentinel_password
                                                            : nullptr;
    if (!text)
        return "the parameter " + std::string(name) +
               " is unknown: db, ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs, "
               "sentinel_username, sentinel_password";
    *text = std::move(content);
    return std::nullopt;
}

bool is_parameter_name(std::string_view text) {
    for (const char c : text)
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_'))
            return false;
    return !text.empty();
}

// Reads the entries one after the other; each may lean on the one before it.
class reader {
public:
    result<addresses> read(std::string_view urls);

private:
    maybe_failure read_entry(std::string_view text);
    maybe_failure begin_scheme(std::string_view name);
    maybe_failure read_user(std::string_view text);
    maybe_failure read_local(const parts& from);
    maybe_failure read_plain(const parts& from);
    maybe_failure read_sentinel(const parts& from);
    maybe_failure read_query(std::string_view query);
    maybe_failure check_sentinel();
    maybe_failure check_tls();
    failure fail(const std::string& what) const { return wrong(entry_, what); }
    address& current() { return out_.hosts.back(); }

    addresses out_;
    scheme scheme_;
    std::size_t entry_ = 0;       // counted from 1
    bool continued_ = false;      // this entry has no scheme of its own
    bool database_given_ = false; // by the first host of the scheme
};

result<addresses> reader::read(std::string_view urls) {
    for (;;) {
        const auto comma = urls.find(',');
        ++entry_;
        if (auto problem = read_entry(urls.substr(0, comma)))
            return *problem;
        if (comma == std::string_view::npos)
            break;
        urls.remove_prefix(comma + 1);
    }
    if (auto problem = check_sentinel())
        return *problem;
    return std::move(out_);
}

maybe_failure reader::read_entry(std::string_view text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    while (text.ends_with(' '))
        text.remove_suffix(1);
    if (text.empty())
        return fail("it is empty; redis://127.0.0.1:6379/0 is how it should look");
    if (text.find('#') != std::string_view::npos)
        return fail(std::string("a # has no place here; ") + std::string(escapes));
    const auto from = take_apart(text);
    continued_ = !from.scheme_name;
    if (from.scheme_name) {
        if (auto problem = check_sentinel())
            return problem;
        if (auto problem = begin_scheme(*from.scheme_name))
            return problem;
        out_.hosts.emplace_back();
        current().tls = scheme_.tls;
    } else if (out_.hosts.empty()) {
        return fail("it has no scheme; redis://127.0.0.1:6379/0 is how it should look");
    } else if (!scheme_.sentinel) {
        out_.hosts.push_back(current());
        current().servers.clear();
    }
    if (!scheme_.local && (from.path.find('@') != std::string_view::npos ||
                           from.query.find('@') != std::string_view::npos))
        return fail("an @ after the host; " + std::string(escapes));
    if (from.user_info) {
        if (auto problem = read_user(*from.user_info))
            return problem;
    }
    auto problem = scheme_.local      ? read_local(from)
                   : scheme_.sentinel ? read_sentinel(from)
                                      : read_plain(from);
    if (problem)
        return problem;
    if (auto wrong_query = read_query(from.query))
        return wrong_query;
    return check_tls();
}

maybe_failure reader::begin_scheme(std::string_view name) {
    const auto found = read_scheme(name);
    if (!found)
        return fail("the scheme is redis, rediss or unix; redis and rediss may have +sentinel, "
                    "all of them +pubsub");
    if (!out_.hosts.empty() && found->pubsub != out_.pubsub)
        return fail("+pubsub stands at every scheme or at none: one layer speaks one wire");
    scheme_ = *found;
    database_given_ = false;
    out_.pubsub = found->pubsub;
    return std::nullopt;
}

maybe_failure reader::read_user(std::string_view text) {
    if (continued_ && scheme_.sentinel)
        return fail("user and password stand before the first Sentinel only");
    const auto colon = text.find(':');
    const auto user = wire::http::percent_decode(text.substr(0, colon));
    const auto password = wire::http::percent_decode(
        colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1));
    if (!user || !password)
        return fail("the user name or password has a malformed % escape; " + std::string(escapes));
    current().username = *user;
    current().password = *password;
    return std::nullopt;
}

maybe_failure reader::read_local(const parts& from) {
    if (!from.host.empty() || from.path.size() < 2)
        return fail("a unix socket has an absolute path: unix:///run/redis/redis.sock");
    const auto path = wire::http::percent_decode(from.path);
    if (!path)
        return fail("the path of the socket has a malformed % escape");
    endpoint at;
    at.port = 0;
    at.path = *path;
    current().servers.push_back(std::move(at));
    return std::nullopt;
}

maybe_failure reader::read_plain(const parts& from) {
    endpoint at;
    if (const auto problem = read_endpoint(from.host, redis_port, at))
        return fail(*problem);
    current().servers.push_back(std::move(at));
    if (from.path.size() > 1) {
        if (continued_ && !database_given_)
            return fail("a database stands after the first host of its scheme and counts for "
                        "those that follow it: redis://h1/3,h2,h3");
        if (const auto problem = read_database(from.path.substr(1), current()))
            return fail(*problem);
        database_given_ = true;
    }
    return std::nullopt;
}

maybe_failure reader::read_sentinel(const parts& from) {
    endpoint at;
    if (const auto problem = read_endpoint(from.host, sentinel_port, at))
        return fail(*problem);
    current().servers.push_back(std::move(at));
    if (from.path.size() < 2)
        return std::nullopt;
    if (!current().master.empty())
        return fail("the master is named once, after one of its Sentinels");
    const auto path = from.path.substr(1);
    const auto slash = path.find('/');
    const auto master = wire::http::percent_decode(path.substr(0, slash));
    if (!master || master->empty())
        return fail("after the Sentinels stands the master's name: "
                    "redis+sentinel://h1,h2,h3/mymaster/0");
    current().master = *master;
    if (slash != std::string_view::npos && slash + 1 < path.size())
        if (const auto problem = read_database(path.substr(slash + 1), current()))
            return fail(*problem);
    return std::nullopt;
}

maybe_failure reader::read_query(std::string_view query) {
    if (!query.empty() && continued_ && !scheme_.sentinel)
        return fail("parameters stand after the first host of their scheme and count for those "
                    "that follow it");
    while (!query.empty()) {
        const auto pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));
        if (pair.empty())
            continue;
        const auto equals = std::min(pair.find('='), pair.size());
        const auto name = pair.substr(0, equals);
        if (equals == pair.size() || !is_parameter_name(name))
            return fail("a parameter is name=value; " + std::string(escapes));
        auto content = wire::http::percent_decode(pair.substr(equals + 1));
        if (!content)
            return fail("the parameter " + std::string(name) + " has a malformed % escape");
        if (const auto problem = set_parameter(name, std::move(*content), current()))
            return fail(*problem);
    }
    return std::nullopt;
}

maybe_failure reader::check_sentinel() {
    if (scheme_.sentinel && current().master.empty())
        return failure{errc::invalid, "Redis: after the Sentinels stands the master's name: "
                                      "redis+sentinel://h1,h2,h3/mymaster/0"};
    return std::nullopt;
}

maybe_failure reader::check_tls() {
    const auto& one = current();
    if (!one.tls && (!one.verify || !one.ca_file.empty() || !one.certificate_file.empty() ||
                     !one.key_file.empty()))
        return fail("parameters of TLS need the scheme rediss");
    if (one.certificate_file.empty() != one.key_file.empty())
        return fail("ssl_certfile and ssl_keyfile stand together");
    if (!scheme_.sentinel && !(one.sentinel_username.empty() && one.sentinel_password.empty()))
        return fail("parameters of Sentinels need the scheme redis+sentinel");
    return std::nullopt;
}

} // namespace

std::string address::name() const {
    const auto base = std::string(tls ? "rediss" : "redis");
    const auto number = std::to_string(database);
    if (!servers.front().path.empty())
        return "unix://" + servers.front().path + "?db=" + number;
    std::string out = base + (master.empty() ? "://" : "+sentinel://");
    for (const auto& one : servers) {
        if (&one != &servers.front())
            out += ',';
        const bool v6 = one.host.find(':') != std::string::npos;
        out += v6 ? "[" + one.host + "]" : one.host;
        out += ':' + std::to_string(one.port);
    }
    return out + (master.empty() ? "/" : "/" + master + "/") + number;
}

result<addresses> parse_addresses(std::string_view urls) { return reader().read(urls); }

} // namespace carillon::net::redis
