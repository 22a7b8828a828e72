#include "net/redis/session.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace carillon::net::redis {

using namespace std::chrono_literals;
using wire::redis::command;
using wire::redis::reply;

namespace {

// A connection that was silent for as long is asked for a sign of life.
constexpr std::chrono::milliseconds idle_ping_interval = 3s;
// A connection that was up for as long has recovered: the next loss begins with the shortest back-off.
constexpr std::chrono::milliseconds steady_after = 5s;

// The server is not, or not now, the one that commands are for.
bool is_wrong_server(std::string_view code) noexcept {
    constexpr std::array<std::string_view, 5> codes{"READONLY", "LOADING", "MASTERDOWN",
                                                    "CLUSTERDOWN", "NOAUTH"};
    return std::find(codes.begin(), codes.end(), code) != codes.end();
}

bool is_pushed(const reply& got) noexcept {
    constexpr std::array<std::string_view, 9> kinds{"message",      "pmessage",    "smessage",
                                                    "subscribe",    "unsubscribe", "psubscribe",
                                                    "punsubscribe", "ssubscribe",  "sunsubscribe"};
    return got.kind == reply::what::list && !got.items.empty() &&
           std::find(kinds.begin(), kinds.end(), got.items[0].text) != kinds.end();
}

bool is_pong(const reply& got) noexcept {
    if (got.kind == reply::what::list)
        return !got.items.empty() && got.items[0].text == "pong";
    return got.kind == reply::what::status && got.text == "PONG";
}

template <class Duration>
std::int64_t as_milliseconds(Duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

} // namespace

client::impl::impl(loop& on, address where, client_options options, client_events& events,
                   logger& log, client_counters& counted)
    : loop_(on), where_(std::move(where)), options_(std::move(options)), events_(events), log_(log),
      counted_(counted), connector_(on, where_, options_.connect_timeout, *this),
      jitter_(std::random_device{}()) {}

void client::impl::start() {
    down_since_ = now();
    loop_.defer([self = shared_from_this()] { self->connect(); });
}

void client::impl::end() noexcept {
    ended_ = true;
    connector_.stop();
    for (auto* timer : {&look_, &retry_})
        if (*timer)
            loop_.cancel(*std::exchange(*timer, std::nullopt));
    if (link_)
        std::exchange(link_, nullptr)->close();
    const failure why{errc::cancelled, "the connection to Redis was given up"};
    while (!pending_.empty()) {
        const auto done = std::move(pending_.front().done);
        pending_.pop_front();
        if (done)
            done(why);
    }
    for (const auto& done : std::exchange(refused_, {}))
        done(why);
}

// --- commands ---

void client::impl::queue(const command& what, told done, std::chrono::milliseconds timeout) {
    const auto bytes = what.bytes();
    const auto sent = now();
    auto deadline = sent + (timeout.count() > 0 ? timeout : options_.command_timeout);
    // replies come in order: none before that of the command ahead
    if (!pending_.empty())
        deadline = std::max(deadline, pending_.back().deadline);
    pending_.push_back({std::move(done), bytes.size(), sent, deadline, timeout.count() > 0});
    pending_command_bytes_ += bytes.size();
    link_->write(bytes);
    watch();
}

void client::impl::send(const command& what, told done, std::chrono::milliseconds timeout) {
    if (!link_)
        return refuse(std::move(done));
    if (timeout.count() == 0)
        counted_.commands.add();
    queue(what, std::move(done), timeout);
}

void client::impl::send_push(const command& what) {
    if (!link_)
        return;
    counted_.commands.add();
    if (!pushing_)
        before_pushing_ = pending_.size();
    pushing_ = true;
    link_->write(what.bytes());
}

void client::impl::refuse(told done) {
    if (refused_.empty())
        loop_.defer([self = shared_from_this()] { self->tell_refused(); });
    refused_.push_back(std::move(done));
}

void client::impl::tell_refused() {
    const failure why{errc::unavailable, where_.name() + " is away: " + trouble_};
    // one by one, since any of them may end this client, which tells the rest
    for (auto left = refused_.size(); left > 0 && !refused_.empty(); --left) {
        const auto done = std::move(refused_.front());
        refused_.erase(refused_.begin());
        done(why);
    }
    if (!refused_.empty())
        loop_.defer([self = shared_from_this()] { self->tell_refused(); });
}

std::size_t client::impl::pending_bytes() const noexcept {
    // what subscriptions send is answered by no reply: it counts until it is sent
    return std::max(pending_command_bytes_, link_ ? link_->unsent_bytes() : 0);
}

// --- connecting ---

void client::impl::connect() {
    retry_.reset();
    if (!ended_)
        connector_.start(master_only_);
}

// Half of the delay is chance: clients that lost one server do not come back in step.
void client::impl::connect_later() {
    const auto doubled = options_.backoff_first * (std::int64_t{1} << std::min(attempts_++, 16));
    const auto delay = std::min<std::chrono::microseconds>(doubled, options_.backoff_max);
    std::uniform_int_distribution<std::int64_t> chance(delay.count() / 2, delay.count());
    retry_ = loop_.at(now() + std::chrono::microseconds(chance(jitter_)), [this] { connect(); });
}

void client::impl::on_connected(std::shared_ptr<link> made, const std::string& server) noexcept {
    const auto self = shared_from_this();
    link_ = std::move(made);
    link_->attend(*this);
    trouble_.clear();
    up_since_ = last_heard_ = now();
    pushing_ = false;
    before_pushing_ = 0;
    pong_deadline_.reset();
    if (was_up_)
        counted_.reconnects.add();
    if (down_told_)
        say(log_level::info, "Redis is back",
            {{"role", options_.role},
             {"redis", where_.name()},
             {"server", server},
             {"away_milliseconds", as_milliseconds(up_since_ - down_since_)}});
    was_up_ = true;
    down_told_ = false;
    refusal_logged_ = false;
    watch();
    events_.on_up();
}

void client::impl::say(log_level level, std::string_view message,
                       std::initializer_list<log_field> fields) {
    const auto chosen = options_.secondary ? log_level::debug : level;
    if (log_.enabled(chosen))
        log_.write(chosen, message, fields);
}

void client::impl::log_loss(const failure& why) {
    if (why.code == errc::unauthorized || why.code == errc::invalid) {
        if (!std::exchange(refusal_logged_, true))
            say(log_level::error,
                "the configuration of Redis does not work; tried again until it does",
                {{"role", options_.role}, {"redis", where_.name()}, {"why", why.message}});
    } else if (!down_told_) {
        say(log_level::warning, "Redis is away",
            {{"role", options_.role}, {"redis", where_.name()}, {"why", why.message}});
    }
}

void client::impl::on_refused(const failure& why) noexcept {
    const auto self = shared_from_this();
    trouble_ = why.message;
    log_loss(why);
    connect_later();
    if (!std::exchange(down_told_, true))
        events_.on_down(why);
}

// --- connected ---

void client::impl::on_reply(reply got) noexcept {
    const auto self = shared_from_this();
    last_heard_ = loop_.turn_time();
    if (got.is_error())
        counted_.errors.add();
    std::string wrong_server;
    if (is_wrong_server(got.error_code()))
        wrong_server = got.text;
    if (got.error_code() == "READONLY")
        master_only_ = true;
    if (pushing_ && before_pushing_ == 0 && (pending_.empty() || is_pushed(got)))
        push(std::move(got));
    else if (!pending_.empty())
        answer(std::move(got));
    else
        return lose({errc::corrupt, "Redis sent a reply that nobody asked for"});
    if (!wrong_server.empty())
        lose({errc::unavailable, "this server is not the one for commands: " + wrong_server});
}

void client::impl::answer(reply got) {
    auto first = std::move(pending_.front());
    pending_.pop_front();
    pending_command_bytes_ -= first.bytes;
    if (before_pushing_ > 0)
        --before_pushing_;
    if (!first.done)
        return; // it lives: that was the question
    if (!first.waits) {
        const auto taken =
            std::chrono::duration_cast<std::chrono::microseconds>(now() - first.sent);
        counted_.micros.add(taken.count());
    }
    first.done(std::move(got));
}

void client::impl::push(reply got) {
    if (pong_deadline_ && is_pong(got))
        return pong_deadline_.reset();
    events_.on_push(std::move(got));
}

void client::impl::lose(const failure& why) {
    if (!link_)
        return;
    const auto self = shared_from_this();
    std::exchange(link_, nullptr)->close();
    if (look_)
        loop_.cancel(*std::exchange(look_, std::nullopt));
    counted_.connection_losses.add();
    trouble_ = why.message;
    down_since_ = now();
    log_loss(why);
    if (down_since_ - up_since_ >= steady_after)
        attempts_ = 0;
    const failure others{errc::unavailable, "the connection to Redis was lost: " + why.message};
    bool first = true;
    // one by one, since any of them may end this client, which tells the rest
    while (!pending_.empty()) {
        const auto done = std::move(pending_.front().done);
        pending_.pop_front();
        if (done)
            done(std::exchange(first, false) && why.code == errc::timed_out ? why : others);
    }
    pending_command_bytes_ = 0;
    if (ended_)
        return;
    connect_later();
    down_told_ = true;
    events_.on_down(why);
}

// --- signs of life ---

steady_time client::impl::next_look() const noexcept {
    if (!pending_.empty())
        return pending_.front().deadline;
    if (pong_deadline_)
        return *pong_deadline_;
    return last_heard_ + idle_ping_interval;
}

// One timer, moved only towards the present: when it comes too early, it looks again.
void client::impl::watch() {
    const auto due = next_look();
    if (look_ && look_at_ <= due)
        return;
    if (look_)
        loop_.cancel(*look_);
    look_at_ = due;
    look_ = loop_.at(due, [this] {
        look_.reset();
        on_watch();
    });
}

void client::impl::on_watch() {
    const auto self = shared_from_this();
    // this thread may have been the one that was late
    if (next_look() <= now())
        link_->read_now();
    if (!link_)
        return;
    if (next_look() > now())
        return watch();
    if (pending_.empty() && !pong_deadline_)
        return ping();
    lose({errc::timed_out, "Redis did not answer in time"});
}

void client::impl::ping() {
    const command question("PING");
    if (pushing_) {
        pong_deadline_ = now() + options_.command_timeout;
        link_->write(question.bytes());
        watch();
    } else {
        queue(question, nullptr, {});
    }
}

} // namespace carillon::net::redis
