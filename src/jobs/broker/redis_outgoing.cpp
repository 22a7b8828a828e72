#include "jobs/broker/redis_outgoing.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace carillon::jobs::redis {

namespace {

constexpr std::size_t batch_messages_max = 500;
constexpr std::size_t batch_bytes_max = 1u << 20;
constexpr std::chrono::milliseconds again_after{200};
constexpr std::chrono::milliseconds expiry_tick{50};

} // namespace

result<void> outgoing::admit(std::size_t bytes) {
    const auto& limits = in_.options;
    if (bytes > limits.unconfirmed_bytes_max)
        return failure{errc::too_large, fmt::format("a message of {} bytes is not sent: at most {}",
                                                    bytes, limits.unconfirmed_bytes_max)};
    if (count_.fetch_add(1) >= limits.unconfirmed_max) {
        count_.fetch_sub(1);
        return failure{errc::unavailable, fmt::format("{} messages wait for the broker already",
                                                      limits.unconfirmed_max)};
    }
    if (bytes_.fetch_add(bytes) + bytes > limits.unconfirmed_bytes_max) {
        count_.fetch_sub(1);
        bytes_.fetch_sub(bytes);
        return failure{errc::unavailable, fmt::format("{} bytes wait for the broker already",
                                                      limits.unconfirmed_bytes_max)};
    }
    return {};
}

void outgoing::put(message one) {
    one.deadline = now() + in_.options.publish_timeout;
    waiting_.push_back(std::move(one));
    if (closed_)
        return close();
    // With the turn's end, so that what is published together goes together.
    if (waiting_.size() == 1)
        in_.loop.defer([this] { send(); });
    watch_time();
}

void outgoing::put_reply(std::string list, std::string element) {
    const auto bytes = element.size();
    if (closed_ || reply_count_ >= replies_max || reply_bytes_ + bytes > reply_bytes_max)
        return dropped_.add();
    ++reply_count_;
    reply_bytes_ += bytes;
    message one;
    one.list = std::move(list);
    one.element = std::move(element);
    one.reply = true;
    replies_.push_back(std::move(one));
    if (replies_.size() == 1)
        in_.loop.defer([this] { send(); });
}

void outgoing::on_up() {
    up_ = true;
    send();
}

void outgoing::on_down() {
    up_ = false;
    tell_replied();
}

void outgoing::when_replied(std::function<void()> then) {
    replied_ = std::move(then);
    tell_replied();
}

void outgoing::tell_replied() {
    if (replied_ && (reply_count_ == 0 || !up_))
        std::exchange(replied_, nullptr)();
}

void outgoing::send() {
    if (!up_ || under_way_ || again_ || closed_)
        return;
    if (batch_.empty()) {
        fill_batch();
        if (batch_.empty())
            return;
        ++number_;
    }
    wire::redis::command what("EVAL");
    what.add(publish_script).add(std::int64_t{2}).add(in_.keys.publishers).add(in_.keys.delayed);
    what.add(in_.self).add(static_cast<std::int64_t>(number_));
    for (const auto& one : batch_)
        what.add(one.list).add(one.due).add(one.element);
    under_way_ = true;
    in_.commands.send(what, [this](const result<wire::redis::reply>& answer) { settle(answer); });
}

// Replies have half of it at most, so that neither keeps the other waiting.
void outgoing::fill_batch() {
    const auto move = [&](std::deque<message>& from, std::size_t count_max, std::size_t bytes_max) {
        for (std::size_t bytes = 0;
             !from.empty() && batch_.size() < count_max && bytes < bytes_max;) {
            bytes += from.front().element.size();
            batch_.push_back(std::move(from.front()));
            from.pop_front();
        }
    };
    move(replies_, batch_messages_max / 2, batch_bytes_max / 2);
    move(waiting_, batch_messages_max, batch_bytes_max);
}

void outgoing::settle(const result<wire::redis::reply>& answer) {
    under_way_ = false;
    if (closed_)
        return;
    if (answer && answer->kind == wire::redis::reply::what::list) {
        tell_batch(*answer);
    } else if (answer && !may_pass(*answer)) {
        for (auto& one : std::exchange(batch_, {}))
            tell(one, why_not(answer));
    } else if (answer) {
        refusal_ = answer->text;
        again_ = in_.loop.at(now() + again_after, [this] {
            again_.reset();
            send();
        });
    }
    send(); // or it is sent again by on_up()
    tell_replied();
}

void outgoing::tell_batch(const wire::redis::reply& failed) {
    auto batch = std::exchange(batch_, {});
    std::size_t next = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (next + 1 < failed.items.size() &&
            failed.items[next].number == static_cast<std::int64_t>(i + 1)) {
            tell(batch[i], failure{errc::unavailable,
                                   "Redis refuses the message: " + failed.items[next + 1].text});
            next += 2;
        } else {
            tell(batch[i], {});
        }
    }
}

void outgoing::tell(message& one, const result<void>& outcome) {
    if (one.reply) {
        --reply_count_;
        reply_bytes_ -= one.element.size();
        if (!outcome)
            dropped_.add();
        return;
    }
    count_.fetch_sub(1);
    bytes_.fetch_sub(one.element.size());
    if (one.done)
        one.done(outcome);
}

// The deadlines grow with the queue: only the first counts. Replies have none.
std::optional<steady_time> outgoing::first_deadline() const {
    if (!batch_.empty() && !batch_.back().reply)
        return batch_.back().deadline;
    return waiting_.empty() ? std::nullopt : std::optional(waiting_.front().deadline);
}

void outgoing::watch_time() {
    const auto first = first_deadline();
    if (expiry_ || closed_ || !first)
        return;
    expiry_ = in_.loop.at(std::max(*first, now() + expiry_tick), [this] {
        expiry_.reset();
        expire();
        watch_time();
    });
}

void outgoing::expire() {
    if (under_way_ || (up_ && !again_))
        return; // it is being sent
    const auto present = now();
    const failure why{errc::unavailable,
                      fmt::format("the broker has not taken the message in time: {}",
                                  up_ ? refusal_ : in_.commands.trouble())};
    if (!batch_.empty() && !batch_.back().reply && batch_.back().deadline <= present)
        fail_batch(why);
    while (!waiting_.empty() && waiting_.front().deadline <= present) {
        auto one = std::move(waiting_.front());
        waiting_.pop_front();
        tell(one, why);
    }
}

// Its replies wait for the next one, which has another number: they may arrive twice, and the second changes nothing.
void outgoing::fail_batch(const failure& why) {
    auto batch = std::exchange(batch_, {});
    const auto end = std::ranges::find(batch, false, &message::reply);
    replies_.insert(replies_.begin(), std::make_move_iterator(batch.begin()),
                    std::make_move_iterator(end));
    for (auto one = end; one != batch.end(); ++one)
        tell(*one, why);
}

void outgoing::close() {
    closed_ = true;
    replied_ = nullptr;
    if (reply_count_ > 0)
        in_.log.warning("results that somebody may wait for were not sent before the end",
                        {{"results", reply_count_}});
    for (auto* timer : {&expiry_, &again_})
        if (*timer)
            in_.loop.cancel(*std::exchange(*timer, std::nullopt));
    const failure why{errc::cancelled, "the broker is closed"};
    for (auto& one : std::exchange(batch_, {}))
        tell(one, why);
    for (auto* each : {&replies_, &waiting_})
        for (auto& one : std::exchange(*each, {}))
            tell(one, why);
}

} // namespace carillon::jobs::redis
