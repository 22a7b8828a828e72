#include "jobs/broker/redis_orders.hpp"

#include <algorithm>
#include <utility>

#include "jobs/broker/redis_context.hpp"

namespace carillon::jobs::redis {

namespace {

constexpr std::size_t under_way_max = 1'000, under_way_bytes_max = 16u << 20;
// Also the pause after a refusal that may pass.
constexpr std::chrono::milliseconds expiry_tick{100};

} // namespace

void orders::put(sender send, told done) {
    auto one = std::make_shared<order>(order{std::move(send), std::move(done), now() + timeout_});
    if (closed_)
        return one->done(failure{errc::cancelled, "the result store is closed"});
    waiting_.push_back(std::move(one));
    pump();
    watch_time();
}

// In their places: what was sent first goes first again.
void orders::take_back() {
    while (!returned_.empty()) {
        waiting_.push_front(std::move(returned_.back()));
        returned_.pop_back();
    }
}

void orders::on_up() {
    up_ = true;
    take_back();
    pump();
}

void orders::pump() {
    while (up_ && !closed_ && !waiting_.empty() && under_way_ < under_way_max &&
           client_.pending_bytes() < under_way_bytes_max) {
        auto one = std::move(waiting_.front());
        waiting_.pop_front();
        ++under_way_;
        one->send(client_, [this, one](result<wire::redis::reply> answer) {
            settle(one, std::move(answer));
        });
    }
}

void orders::settle(const std::shared_ptr<order>& one, result<wire::redis::reply> answer) {
    --under_way_;
    const bool again = !answer || may_pass(*answer);
    if (again && !closed_ && now() < one->deadline) {
        returned_.push_back(one);
        watch_time();
        return; // with on_up(), or with the next tick
    }
    if (!answer && !closed_)
        answer = failure{errc::unavailable, answer.error().message};
    one->done(std::move(answer));
    if (!again)
        pump();
}

void orders::watch_time() {
    if (expiry_ || closed_ || (waiting_.empty() && returned_.empty()))
        return;
    expiry_ = loop_.at(now() + expiry_tick, [this] {
        expiry_.reset();
        expire();
        pump();
        watch_time();
    });
}

void orders::expire() {
    take_back();
    const auto present = now();
    std::deque<std::shared_ptr<order>> expired;
    std::erase_if(waiting_, [&](const auto& one) {
        if (one->deadline > present)
            return false;
        expired.push_back(one);
        return true;
    });
    for (const auto& one : expired)
        one->done(failure{errc::unavailable,
                          "the result store has been away for too long: " + client_.trouble()});
}

void orders::close() {
    closed_ = true;
    if (expiry_)
        loop_.cancel(*std::exchange(expiry_, std::nullopt));
    take_back();
    for (const auto& one : std::exchange(waiting_, {}))
        one->done(failure{errc::cancelled, "the result store is closed"});
}

} // namespace carillon::jobs::redis
