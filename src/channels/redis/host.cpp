#include "channels/redis/host.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace carillon::channels::redis {

namespace {

// The server says that it did not do it, and the client looks for another one.
bool not_done(const wire::redis::reply& answer) {
    constexpr std::string_view codes[] = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN",
                                          "NOAUTH"};
    return answer.is_error() && std::ranges::find(codes, answer.error_code()) != std::end(codes);
}

constexpr std::chrono::milliseconds expiry_tick{50};
// Processes wait for each other: the default time to settle is twice as long.
constexpr std::chrono::milliseconds backoff_max{500};
// For connecting and subscribing, after the pause before the attempt.
constexpr std::chrono::milliseconds cut_slack{300};

// What a server draws at each of its starts; empty when it does not tell.
std::string run_id_of(const wire::redis::reply& info) {
    constexpr std::string_view name = "run_id:";
    const auto at = info.text.find(name);
    if (info.is_error() || at == std::string::npos)
        return {};
    const auto from = at + name.size();
    return info.text.substr(from, info.text.find_first_of("\r\n", from) - from);
}

} // namespace

std::function<wire::redis::command()> made(wire::redis::command what) {
    return [what = std::move(what)] { return what; };
}

host_options host_options::of(const redis_layer_options& layer, std::size_t index) {
    host_options made;
    made.index = index;
    made.send_timeout = layer.send_timeout;
    made.settle_time = std::min(layer.settle_time, layer.send_timeout / 2);
    made.connection.backoff_max = backoff_max;
    return made;
}

host::host(net::loop& on, net::redis::address where, host_options options, host_events& events,
           logger& log, layer_counters& counted)
    : loop_(on), options_(std::move(options)), name_(where.name()), events_(events), log_(log),
      counted_(counted),
      client_(std::make_unique<net::redis::client>(on, std::move(where), options_.connection,
                                                   static_cast<net::redis::client_events&>(*this),
                                                   log, counted.connections)) {}

host::~host() { close(); }

void host::start() {
    away_since_ = now();
    client_->start();
    watch_time();
}

void host::close() {
    if (std::exchange(closed_, true))
        return;
    if (ready_.exchange(false))
        counted_.connected.sub();
    refusing_ = true;
    set_trouble("the layer has stopped");
    if (timer_)
        loop_.cancel(*timer_);
    timer_.reset();
    end_to_settle();
    client_.reset(); // tells what is under way
    order_end end;
    end.why = {errc::unavailable, "the channel layer has stopped"};
    for (auto* queue : {&returned_, &waiting_})
        for (auto& one : std::exchange(*queue, {}))
            one->done(end);
}

bool host::refuses() noexcept {
    if (!refusing_.load(std::memory_order_relaxed))
        return false;
    refused_.fetch_add(1, std::memory_order_relaxed);
    return true;
}

std::string host::trouble() const {
    std::lock_guard lock(guard_);
    return trouble_;
}

void host::set_trouble(std::string why) {
    std::lock_guard lock(guard_);
    trouble_ = std::move(why);
}

void host::put(order what) {
    auto kept = std::make_shared<order>(std::move(what));
    if (closed_) {
        order_end end;
        end.why = {errc::unavailable, "the channel layer has stopped"};
        return kept->done(end);
    }
    (settle_timer_ && kept->needs_others ? held_ : waiting_).push_back(std::move(kept));
    if (ready())
        pump();
    watch_time();
}

void host::send_now(const wire::redis::command& what, net::redis::client::told done) {
    if (closed_)
        return done(failure{errc::cancelled, "the channel layer has stopped"});
    client_->send(what, std::move(done));
}

void host::on_up() noexcept {
    client_->send({"INFO", "server"}, [this](const result<wire::redis::reply>& answer) {
        if (answer && !not_done(*answer))
            meet(*answer);
    });
}

void host::meet(const wire::redis::reply& info) {
    auto run_id = run_id_of(info);
    const bool same = run_id_ ? !run_id.empty() && run_id == *run_id_ : !was_lost_;
    another_ = another_ || !same;
    run_id_ = std::move(run_id);
    met_ = true;
    events_.on_restore(*this);
}

std::chrono::milliseconds host::settle_time_after_cut() const noexcept {
    const auto away = std::chrono::duration_cast<std::chrono::milliseconds>(now() - away_since_);
    return std::min(options_.settle_time, away + cut_slack);
}

void host::release(std::chrono::milliseconds settle) {
    if (!met_ || ready_.exchange(true))
        return;
    another_ = false;
    unsettled_ = std::max(unsettled_, settle);
    failing_ = false;
    take_back();
    refusing_ = false;
    counted_.connected.add();
    set_trouble({});
    tell_of_recovery();
    if (unsettled_.count() > 0)
        begin_to_settle();
    pump();
    events_.on_ready(*this);
    if (ready() && !settle_timer_)
        events_.on_settled(*this);
}

// Reading and all other orders go on meanwhile: other processes may have settled before.
void host::begin_to_settle() {
    counted_.settles.add();
    for (auto& one : std::exchange(waiting_, {}))
        (one->needs_others ? held_ : waiting_).push_back(std::move(one));
    settle_timer_ = loop_.at(now() + unsettled_, [this] {
        settle_timer_.reset();
        unsettled_ = {};
        end_to_settle();
        pump();
        events_.on_settled(*this);
    });
}

void host::end_to_settle() noexcept {
    if (settle_timer_)
        loop_.cancel(*std::exchange(settle_timer_, std::nullopt));
    for (auto& one : std::exchange(held_, {}))
        waiting_.push_back(std::move(one));
}

void host::hold(std::string why) {
    if (closed_)
        return;
    set_trouble(std::move(why));
    stand_still();
    watch_time();
}

void host::stand_still() {
    end_to_settle();
    if (ready_.exchange(false))
        counted_.connected.sub();
    if (!std::exchange(was_lost_, true))
        away_since_ = now();
}

void host::tell_of_recovery() {
    const auto lost = std::exchange(lost_, 0) + refused_.exchange(0);
    drop_told_ = false;
    if (!std::exchange(was_lost_, false))
        return;
    const std::chrono::duration<double> away = now() - away_since_;
    log_.info("the channel layer's server is back",
              {{"server", name_},
               {"seconds_away", away.count()},
               {"events_lost", lost},
               {"orders_kept", waiting_.size()},
               {"milliseconds_to_settle", unsettled_.count()}});
}

void host::on_down(const failure& why) noexcept {
    set_trouble(why.message);
    met_ = false;
    stand_still();
    take_back();
    watch_time();
    events_.on_lost(*this);
}

// In their places: what was sent first goes first again.
void host::take_back() {
    while (!returned_.empty()) {
        waiting_.push_front(std::move(returned_.back()));
        returned_.pop_back();
    }
}

void host::pump() {
    while (ready() && !failing_ && client_->up() && !waiting_.empty() &&
           under_way_.size() < options_.under_way_max &&
           client_->pending_bytes() < options_.under_way_bytes_max) {
        auto next = std::move(waiting_.front());
        waiting_.pop_front();
        send(std::move(next));
    }
}

void host::send(std::shared_ptr<order> what) {
    const auto command = what->make();
    under_way_.push_back(what);
    client_->send(command, [this, what = std::move(what)](result<wire::redis::reply> answer) {
        settle(what, std::move(answer));
    });
}

void host::settle(const std::shared_ptr<order>& what, result<wire::redis::reply> answer) {
    under_way_.pop_front(); // replies come in order: it is this one
    const bool again = answer ? not_done(*answer) : what->repeatable;
    // The connection is about to be given up: nothing more goes into it.
    failing_ = failing_ || !answer || again;
    if (again && !closed_) {
        returned_.push_back(what);
        return;
    }
    order_end end;
    if (answer) {
        end.what = order_end::how::answered;
        end.answer = *std::move(answer);
    } else {
        end.what = order_end::how::unconfirmed;
        end.why = {errc::unavailable, fmt::format("{} was lost before it confirmed: {}", name_,
                                                  answer.error().message)};
        lost_ += what->events;
    }
    what->done(end);
    if (!closed_)
        pump();
}

// Called at least every tick while something waits or the server is away.
void host::watch_time() {
    if (timer_ || closed_ || (ready() && waiting_.empty() && held_.empty()))
        return;
    timer_ = loop_.at(now() + expiry_tick, [this] {
        timer_.reset();
        expire();
        watch_time();
    });
}

void host::expire() {
    const auto present = now();
    if (!ready() && present - away_since_ >= options_.send_timeout)
        refusing_ = true;
    order_end end;
    std::vector<std::shared_ptr<order>> expired;
    for (auto* queue : {&waiting_, &held_})
        std::erase_if(*queue, [&](const std::shared_ptr<order>& one) {
            if (one->expires > present)
                return false;
            expired.push_back(one);
            return true;
        });
    if (expired.empty())
        return;
    const auto why = settle_timer_ ? "other processes may not be back yet" : trouble();
    end.why = {errc::unavailable,
               fmt::format("{} has been away for longer than events may wait: {}", name_, why)};
    for (const auto& one : expired)
        lost_ += one->events;
    if (!std::exchange(drop_told_, true))
        log_.warning("events are dropped until the channel layer's server is back",
                     {{"server", name_}, {"why", why}});
    for (const auto& one : expired)
        one->done(end);
}

} // namespace carillon::channels::redis
