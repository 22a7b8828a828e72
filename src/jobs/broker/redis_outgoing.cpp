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

void outgoing::on_up() {
    up_ = true;
    send();
}

void outgoing::send() {
    if (!up_ || under_way_ || again_ || closed_)
        return;
    if (batch_.empty()) {
        for (std::size_t bytes = 0;
             !waiting_.empty() && batch_.size() < batch_messages_max && bytes < batch_bytes_max;) {
            bytes += waiting_.front().element.size();
            batch_.push_back(std::move(waiting_.front()));
            waiting_.pop_front();
        }
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
    count_.fetch_sub(1);
    bytes_.fetch_sub(one.element.size());
    if (one.done)
        one.done(outcome);
}

// The deadlines grow with the queue: only the first counts.
void outgoing::watch_time() {
    if (expiry_ || closed_ || (waiting_.empty() && batch_.empty()))
        return;
    const auto first = batch_.empty() ? waiting_.front().deadline : batch_.back().deadline;
    expiry_ = in_.loop.at(std::max(first, now() + expiry_tick), [this] {
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
    if (!batch_.empty() && batch_.back().deadline <= present)
        for (auto& one : std::exchange(batch_, {}))
            tell(one, why);
    while (!waiting_.empty() && waiting_.front().deadline <= present) {
        auto one = std::move(waiting_.front());
        waiting_.pop_front();
        tell(one, why);
    }
}

void outgoing::close() {
    closed_ = true;
    for (auto* timer : {&expiry_, &again_})
        if (*timer)
            in_.loop.cancel(*std::exchange(*timer, std::nullopt));
    const failure why{errc::cancelled, "the broker is closed"};
    for (auto& one : std::exchange(batch_, {}))
        tell(one, why);
    for (auto& one : std::exchange(waiting_, {}))
        tell(one, why);
}

} // namespace carillon::jobs::redis
