#include "jobs/broker/amqp_publisher.hpp"

#include <algorithm>
#include <utility>

namespace carillon::jobs::amqp {

namespace {

constexpr std::uint16_t confirmed_channel = 1;
constexpr std::uint16_t transient_channel_number = 2;
// As much is handed to the connection ahead of the network; the rest waits here.
constexpr std::size_t ahead_bytes = std::size_t{1} << 20;
constexpr std::size_t transient_ahead_bytes = std::size_t{1} << 20;
// What waits here besides, or is kept for the next connection; more is dropped.
constexpr std::size_t emits_max = 10'000;
constexpr std::size_t emits_bytes_max = std::size_t{16} << 20;
constexpr std::size_t names_max = 10'000; // queues known to be there
constexpr int attempts_max = 3;

} // namespace

bool unconfirmed_places::take(std::size_t bytes) noexcept {
    const bool counted = count_.fetch_add(1) < count_max_;
    const bool weighed = bytes_.fetch_add(bytes) + bytes <= bytes_max_;
    if (counted && weighed)
        return true;
    give_back(bytes);
    return false;
}

void unconfirmed_places::give_back(std::size_t bytes) noexcept {
    count_.fetch_sub(1);
    bytes_.fetch_sub(bytes);
}

publisher::publisher(net::loop& on, const queue_shape& shape, unconfirmed_places& places,
                     logger& log, counters& counted)
    : loop_(on), shape_(shape), places_(places), log_(log), counted_(counted), transient_(*this) {}

void publisher::publish(outgoing what) {
    counted_.pending.add();
    if (ended_)
        return tell(what, failure{errc::cancelled, "the broker was closed"});
    waiting_.push_back(std::move(what));
    watch_deadlines();
    pump();
}

// Replies are kept until they can go: whoever waits for one asks nobody else. All the rest is news, and stale by then.
void publisher::emit(std::string exchange, std::string routing_key, std::string properties,
                     std::string body) {
    const bool keep = exchange.empty() || (through_ && !blocked_);
    const auto bytes = properties.size() + body.size();
    if (ended_ || !keep || emits_.size() >= emits_max || emit_bytes_ + bytes > emits_bytes_max)
        return counted_.dropped.add();
    emit_bytes_ += bytes;
    emits_.push_back(
        {std::move(exchange), std::move(routing_key), std::move(properties), std::move(body)});
    send_emits();
}

void publisher::send_emits() {
    while (!emits_.empty() && through_ && !blocked_ && held_back_ == 0 &&
           through_->unsent_bytes() < transient_ahead_bytes) {
        const auto one = std::move(emits_.front());
        emits_.pop_front();
        emit_bytes_ -= one.bytes();
        through_->publish(transient_channel_number, one.exchange, one.routing_key, false,
                          one.properties, one.body);
    }
}

// --- the connection

void publisher::open_channels() {
    const amqp_confirm_select_t fields{};
    channel_events& me = *this;
    through_->open_channel(confirmed_channel, me);
    through_->call(confirmed_channel, AMQP_CONFIRM_SELECT_METHOD, &fields, [](const reply&) {});
    first_tag_ = 1;
}

void publisher::attach(connection& through, declarer& declares) {
    through_ = &through;
    declares_ = &declares;
    ++attachment_;
    declaring_ = false;
    blocked_.reset();
    held_back_ = 0;
    open_channels();
    through_->open_channel(transient_channel_number, transient_);
    pump();
}

void publisher::leave(const failure& why) noexcept {
    through_ = nullptr;
    away_ = why.message;
    declares_ = nullptr;
    ++attachment_;
    declared_.clear();
    delayed_.clear();
    counted_.dropped.add(static_cast<std::int64_t>(std::erase_if(emits_, [&](const auto& one) {
        if (one.exchange.empty())
            return false;
        emit_bytes_ -= one.bytes();
        return true;
    })));
    take_back(false);
}

// What was sent and not confirmed goes to the front again, in its order.
void publisher::take_back(bool count_attempts) {
    for (auto one = flights_.rbegin(); one != flights_.rend(); ++one) {
        if (one->settled || !one->what.done) // told already
            continue;
        counted_.repeated.add();
        one->what.attempts += count_attempts ? 1 : 0;
        waiting_.push_front(std::move(one->what));
    }
    flights_.clear();
}

void publisher::let_go() {
    if (held_back_ == 0 || --held_back_ > 0)
        return;
    pump();
}

void publisher::block(std::string_view reason) {
    if (reason.empty())
        blocked_.reset();
    else
        blocked_ = reason;
    pump();
}

void publisher::transient_channel::on_channel_closed(const failure& why) noexcept {
    owner.log_.warning("A reply, an event or a control request had no exchange to go to",
                       {{"why", why.message}});
    owner.counted_.dropped.add();
    owner.through_->open_channel(transient_channel_number, *this);
}

// The server closes a channel over one message, and does not say which. All that were under way are sent again one by
// one, so that the culprit is found alone.
void publisher::on_channel_closed(const failure& why) noexcept {
    declared_.clear();
    delayed_.clear();
    const bool alone = flights_.size() == 1;
    if (alone && flights_.front().what.attempts + 1 >= attempts_max) {
        flights_.front().settled = true;
        tell(flights_.front().what, why);
        one_by_one_ -= one_by_one_ > 0 ? 1 : 0;
    } else {
        one_by_one_ = std::max(one_by_one_, flights_.size());
    }
    take_back(alone);
    open_channels();
    loop_.defer([this, attachment = attachment_] {
        if (attachment == attachment_)
            pump();
    });
}

// --- sending

bool publisher::can_send() const noexcept {
    return through_ && !blocked_ && !declaring_ && held_back_ == 0 && !waiting_.empty() &&
           through_->unsent_bytes() < ahead_bytes && (one_by_one_ == 0 || flights_.empty());
}

void publisher::pump() {
    send_emits();
    while (can_send() && prepare(waiting_.front())) {
        auto next = std::move(waiting_.front());
        waiting_.pop_front();
        send(std::move(next));
    }
}

void publisher::declare(std::vector<step> steps, std::set<std::string>& then_in, std::string name) {
    declaring_ = true;
    if (then_in.size() >= names_max)
        then_in.clear();
    declares_->run(std::move(steps), [this, &then_in, name = std::move(name),
                                      attachment = attachment_](const result<void>& outcome) {
        if (attachment != attachment_)
            return;
        declaring_ = false;
        if (outcome) {
            then_in.insert(name);
        } else if (!waiting_.empty() && (name.empty() || waiting_.front().queue == name)) {
            auto refused = std::move(waiting_.front());
            waiting_.pop_front();
            tell(refused, outcome.error());
        }
        pump();
    });
}

bool publisher::prepare(const outgoing& next) {
    if (!declared_.contains(next.queue)) {
        declare(task_queue_steps(next.queue, shape_), declared_, next.queue);
        return false;
    }
    if (!next.when || *next.when <= utc_now())
        return true;
    if (!delayed_.contains("")) {
        declare(delayed_delivery_steps(shape_.quorum), delayed_, "");
        return false;
    }
    if (!delayed_.contains(next.queue)) {
        std::vector<step> steps;
        steps.push_back(delayed_binding_step(next.queue));
        declare(std::move(steps), delayed_, next.queue);
        return false;
    }
    return true;
}

void publisher::send(outgoing what) {
    const auto wait = what.when ? std::chrono::ceil<std::chrono::seconds>(*what.when - utc_now())
                                : std::chrono::seconds(0);
    counted_.published.add();
    if (wait.count() > 0 && delayed_.contains(what.queue))
        through_->publish(confirmed_channel, delayed_entrance,
                          delayed_routing_key(std::min(wait, delay_max), what.queue), true,
                          what.properties, what.body);
    else
        through_->publish(confirmed_channel, "", what.queue, true, what.properties, what.body);
    flights_.push_back({std::move(what)});
}

// --- outcomes

void publisher::tell(outgoing& what, const result<void>& outcome) {
    counted_.pending.sub();
    (outcome ? counted_.confirmed : counted_.failed).add();
    if (what.counted)
        places_.give_back(what.bytes());
    if (const auto done = std::exchange(what.done, nullptr))
        done(outcome);
}

// A return names no number: it is told by what it holds, and comes before its confirmation.
void publisher::on_content(content got) noexcept {
    const auto fits = [&](const flight& one) {
        return !one.settled && !one.returned && one.what.body.size() == got.body_bytes &&
               one.what.properties == got.properties;
    };
    const auto one = std::find_if(flights_.begin(), flights_.end(), fits);
    if (one != flights_.end())
        one->returned = true;
}

void publisher::on_confirm(std::uint64_t tag, bool multiple, bool positive) noexcept {
    if (tag < first_tag_ || tag - first_tag_ >= flights_.size())
        return;
    const auto last = static_cast<std::size_t>(tag - first_tag_);
    for (auto i = multiple ? std::size_t{0} : last; i <= last; ++i)
        if (!flights_[i].settled)
            settle(flights_[i], positive);
    drop_settled();
    pump();
}

void publisher::settle(flight& one, bool positive) {
    one.settled = true;
    one_by_one_ -= one_by_one_ > 0 ? 1 : 0;
    if (!one.what.done) // told already that it is late
        return;
    if (!one.returned && positive)
        return tell(one.what, {});
    if (!positive)
        return tell(one.what,
                    failure{errc::unavailable, "RabbitMQ refused a message to the queue " +
                                                   one.what.queue + "; is it full?"});
    // the queue was deleted after it had been declared
    declared_.erase(one.what.queue);
    delayed_.erase(one.what.queue);
    if (++one.what.attempts >= attempts_max)
        return tell(one.what,
                    failure{errc::unavailable, "RabbitMQ has no queue " + one.what.queue +
                                                   ": it was deleted as often as it was declared"});
    counted_.repeated.add();
    waiting_.push_front(std::move(one.what));
}

void publisher::drop_settled() {
    while (!flights_.empty() && flights_.front().settled) {
        flights_.pop_front();
        ++first_tag_;
    }
}

// --- deadlines

void publisher::watch_deadlines() {
    if (late_ || ended_)
        return;
    auto first = steady_time::max();
    if (!waiting_.empty())
        first = waiting_.front().deadline;
    for (const auto& one : flights_)
        if (one.what.done) {
            first = std::min(first, one.what.deadline);
            break;
        }
    if (first == steady_time::max())
        return;
    late_ = loop_.at(first, [this] {
        late_.reset();
        fail_late();
        watch_deadlines();
    });
}

void publisher::fail_late() {
    const auto time = now();
    const auto because = blocked_ ? "; it blocks publishers: " + *blocked_ : std::string();
    const auto server = through_ ? "RabbitMQ at " + through_->name() : std::string("RabbitMQ");
    for (auto& one : flights_)
        if (one.what.done && one.what.deadline <= time)
            tell(one.what, failure{errc::unavailable,
                                   server + " did not confirm the message in time and may have it" +
                                       because});
    std::deque<outgoing> late;
    while (!waiting_.empty() && waiting_.front().deadline <= time) {
        late.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    const auto away = through_ ? because : ": " + away_;
    for (auto& one : late)
        tell(one, failure{errc::unavailable, server + " has not taken the message in time" + away});
}

void publisher::end() {
    ended_ = true;
    if (late_)
        loop_.cancel(*std::exchange(late_, std::nullopt));
    const failure why{errc::cancelled, "the broker was closed"};
    auto waiting = std::exchange(waiting_, {});
    for (auto& one : flights_)
        if (one.what.done)
            tell(one.what, why);
    for (auto& one : waiting)
        tell(one, why);
}

} // namespace carillon::jobs::amqp
