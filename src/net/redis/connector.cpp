#include "net/redis/connector.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace carillon::net::redis {

using namespace std::chrono_literals;
using wire::redis::command;
using wire::redis::reply;

namespace {

constexpr std::chrono::milliseconds sentinel_timeout_max = 1s;
constexpr std::size_t quoted_bytes_max = 160;

// What a server says of itself, for one line of a log.
std::string quoted(std::string_view text) {
    std::string out(text.substr(0, quoted_bytes_max));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    return out;
}

// Nothing where a Sentinel names what cannot be a host: TLS would check the certificate against less than it seems.
std::optional<endpoint> endpoint_of(const reply& named) {
    if (named.items.size() != 2)
        return std::nullopt;
    endpoint out;
    out.host = named.items[0].text;
    const bool printable =
        std::all_of(out.host.begin(), out.host.end(), [](char c) { return c > ' ' && c < '\x7f'; });
    if (out.host.empty() || !printable)
        return std::nullopt;
    const auto& port = named.items[1].text;
    const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (problem != std::errc() || end != port.data() + port.size() || out.port == 0)
        return std::nullopt;
    return out;
}

} // namespace

std::string name_of(const endpoint& where) {
    if (!where.path.empty())
        return where.path;
    const bool v6 = where.host.find(':') != std::string::npos;
    return (v6 ? "[" + where.host + "]" : where.host) + ":" + std::to_string(where.port);
}

connector::connector(loop& on, const address& where, std::chrono::milliseconds timeout,
                     connector_events& events)
    : loop_(on), where_(where), timeout_(timeout), events_(events), names_(on) {}

connector::~connector() { drop(); }

void connector::drop() noexcept {
    if (deadline_timer_)
        loop_.cancel(*std::exchange(deadline_timer_, std::nullopt));
    asked_.clear();
    if (link_)
        std::exchange(link_, nullptr)->close();
}

void connector::start(bool master_only) {
    drop();
    master_only_ = master_only || !where_.master.empty();
    problem_ = {};
    sentinels_tried_ = 0;
    if (where_.master.empty())
        reach(stage::server, where_.servers.front());
    else
        next_sentinel();
}

void connector::next_sentinel() {
    if (sentinels_tried_ == where_.servers.size())
        return events_.on_refused(problem_);
    const auto which = (first_sentinel_ + sentinels_tried_++) % where_.servers.size();
    reach(stage::sentinel, where_.servers[which]);
}

void connector::reach(stage next, endpoint to) {
    stage_ = next;
    to_ = std::move(to);
    const auto patience =
        stage_ == stage::sentinel ? std::min(timeout_, sentinel_timeout_max) : timeout_;
    deadline_timer_ = loop_.at(now() + patience, [this] {
        deadline_timer_.reset();
        failed({errc::unavailable, std::string(link_->missing()) + " in time"});
    });
    std::optional<tls_client_context> tls;
    if (where_.tls) {
        // read anew each time: a renewed certificate needs no restart
        auto loaded = tls_client_context::load(
            {where_.verify, where_.ca_file, where_.certificate_file, where_.key_file});
        if (!loaded)
            return failed(loaded.error());
        tls.emplace(std::move(*loaded));
    }
    link_events& me = *this;
    link_ = std::make_shared<link>(loop_, names_, me);
    link_->open(to_, std::move(tls), patience);
}

void connector::on_lost(const failure& why) noexcept {
    asked_.clear();
    link_.reset();
    failed(why);
}

void connector::failed(failure why) {
    drop();
    why.message = target() + ": " + why.message;
    // a refusal is what somebody has to mend; it is not hidden by another Sentinel that is away
    if (problem_.code != errc::unauthorized)
        problem_ = std::move(why);
    if (where_.master.empty())
        return events_.on_refused(problem_);
    next_sentinel();
}

void connector::finish() {
    auto made = std::exchange(link_, nullptr);
    if (!where_.master.empty()) // the Sentinel that knew is asked first the next time
        first_sentinel_ = (first_sentinel_ + sentinels_tried_ - 1) % where_.servers.size();
    const auto server = name_of(to_);
    drop();
    events_.on_connected(std::move(made), server);
}

const std::string& connector::user() const noexcept {
    return stage_ == stage::sentinel ? where_.sentinel_username : where_.username;
}

std::string connector::target() const {
    return (stage_ == stage::sentinel ? "the Sentinel at " : "Redis at ") + name_of(to_);
}

void connector::ask(step what, const command& how) {
    asked_.push_back(what);
    link_->write(how.bytes());
}

// Everything at once: one round trip, and the first refusal is the one that counts.
void connector::on_open() noexcept {
    const bool sentinel = stage_ == stage::sentinel;
    const auto& password = sentinel ? where_.sentinel_password : where_.password;
    if (!user().empty())
        ask(step::sign_in, {"AUTH", user(), password});
    else if (!password.empty())
        ask(step::sign_in, {"AUTH", password});
    if (sentinel)
        return ask(step::find_master, {"SENTINEL", "get-master-addr-by-name", where_.master});
    ask(step::name, {"CLIENT", "SETNAME", "carillon"});
    if (where_.database != 0)
        ask(step::select, command("SELECT").add(std::int64_t{where_.database}));
    if (master_only_)
        ask(step::role, {"ROLE"});
    ask(step::ping, {"PING"});
}

failure connector::explain(const reply& error) const {
    const auto code = error.error_code();
    if (code == "NOAUTH")
        return {errc::unauthorized, "it wants a password, and none is configured"};
    return {errc::unavailable, "it answers " + quoted(error.text)};
}

std::optional<failure> connector::judge(step what, const reply& got) {
    // Who may not ask for the role or for a sign of life may still send commands.
    const bool forbidden = got.error_code() == "NOPERM";
    switch (what) {
    case step::name: return std::nullopt;
    case step::sign_in:
        if (got.error_code() == "WRONGPASS")
            return failure{errc::unauthorized, "it refuses the user " +
                                                   (user().empty() ? "name" : quoted(user())) +
                                                   " or the password"};
        if (got.is_error())
            return failure{errc::unauthorized, "it refuses to sign us in: " + quoted(got.text)};
        return std::nullopt;
    case step::select:
        if (got.is_error() && got.error_code() == "ERR")
            return failure{errc::invalid, "it has no database " + std::to_string(where_.database) +
                                              ": " + quoted(got.text)};
        break;
    case step::role:
        if (!got.is_error() && (got.items.empty() || got.items[0].text != "master"))
            return failure{errc::unavailable, "it is no master"};
        [[fallthrough]];
    case step::ping:
        if (forbidden)
            return std::nullopt;
        break;
    case step::find_master: break;
    }
    if (got.is_error())
        return explain(got);
    return std::nullopt;
}

void connector::on_reply(reply got) noexcept {
    if (asked_.empty())
        return failed({errc::unavailable, "it talks without being asked"});
    const auto what = asked_.front();
    asked_.pop_front();
    if (auto problem = judge(what, got))
        return failed(std::move(*problem));
    if (what == step::find_master)
        return master_found(got);
    if (asked_.empty() && what == step::ping)
        finish();
}

void connector::master_found(const reply& named) {
    auto master = endpoint_of(named);
    if (!master)
        return failed({errc::unavailable, "it knows no master named " + where_.master});
    drop();
    reach(stage::server, std::move(*master));
}

} // namespace carillon::net::redis
