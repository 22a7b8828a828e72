#include <carillon/channels/confirm.hpp>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "net/shard.hpp"
#include <carillon/base/assert.hpp>

namespace carillon {

// Shared by the receipt and the layer's callback, which comes on any thread.
struct confirmed::outcome {
    std::mutex guard;
    std::condition_variable known;
    std::optional<result<delivery>> told;
    std::coroutine_handle<> waiting; // and the shard where it waits
    net::shard* home = nullptr;

    std::coroutine_handle<> take_waiting() {
        std::lock_guard lock(guard);
        return std::exchange(waiting, nullptr);
    }
    delivery get() const {
        auto copy = *told;
        return std::move(copy).value();
    }
};

confirmed::confirmed() : outcome_(std::make_shared<outcome>()) {}

confirmed::~confirmed() {
    if (outcome_)
        outcome_->take_waiting();
}

delivery_told confirmed::told() const {
    return [shared = outcome_](const result<delivery>& what) {
        std::lock_guard lock(shared->guard);
        shared->told.emplace(what);
        shared->known.notify_all();
        // Under the lock, so that the shard is still there: the coroutine that waits on it ends before it does.
        if (shared->waiting)
            shared->home->events().post([shared] {
                if (auto coroutine = shared->take_waiting())
                    coroutine.resume();
            });
    };
}

bool confirmed::await_ready() const noexcept {
    std::lock_guard lock(outcome_->guard);
    return outcome_->told.has_value();
}

bool confirmed::await_suspend(std::coroutine_handle<> waiting) {
    auto* home = net::shard::current();
    CARILLON_ASSERT(home, "a confirmed send is awaited on a shard's thread");
    std::lock_guard lock(outcome_->guard);
    if (outcome_->told)
        return false;
    outcome_->home = home;
    outcome_->waiting = waiting;
    return true;
}

delivery confirmed::await_resume() const {
    std::lock_guard lock(outcome_->guard);
    return outcome_->get();
}

confirmed confirm_group_send(channel_layer& layer, std::string_view group, event e) {
    confirmed sent;
    layer.group_send_confirmed(group, std::move(e), sent.told());
    return sent;
}

confirmed confirm_send(channel_layer& layer, std::string_view channel, event e) {
    confirmed sent;
    layer.send_confirmed(channel, std::move(e), sent.told());
    return sent;
}

delivery wait_confirmed(const confirmed& sent, steady_time deadline) {
    CARILLON_ASSERT(!net::shard::current(), "a shard's thread does not wait");
    auto& shared = *sent.outcome_;
    std::unique_lock lock(shared.guard);
    if (!shared.known.wait_until(lock, deadline, [&] { return shared.told.has_value(); }))
        throw error(errc::timed_out, "the channel layer has not confirmed the event in time");
    return shared.get();
}

} // namespace carillon
