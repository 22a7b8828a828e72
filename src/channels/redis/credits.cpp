#include "channels/redis/credits.hpp"

#include <algorithm>
#include <utility>

namespace carillon::channels::redis {

struct credits::state {
    state(std::size_t most, std::function<void()> freed_, counter& gauge_)
        : freed(std::move(freed_)), gauge(&gauge_), left(most) {}

    void give(std::size_t count, bool was_out) {
        std::lock_guard lock(guard);
        left += count;
        if (was_out && gauge)
            gauge->sub(static_cast<std::int64_t>(count));
        if (count > 0 && std::exchange(starved, false) && freed)
            freed();
    }

    std::mutex guard;
    std::function<void()> freed; // empty once nobody is left to hear it
    counter* gauge;
    std::size_t left;
    bool starved = false;
};

credits::credits(std::size_t most, std::function<void()> freed, counter& gauge)
    : state_(std::make_shared<state>(most, std::move(freed), gauge)) {}

credits::~credits() {
    std::lock_guard lock(state_->guard);
    state_->freed = nullptr;
    state_->gauge = nullptr;
}

std::size_t credits::reserve(std::size_t wanted) {
    std::lock_guard lock(state_->guard);
    const auto got = std::min(wanted, state_->left);
    state_->left -= got;
    state_->starved = state_->starved || got < wanted;
    return got;
}

void credits::unreserve(std::size_t count) { state_->give(count, false); }

std::shared_ptr<void> credits::share() {
    state_->gauge->add();
    return {nullptr, [of = state_](void*) { of->give(1, true); }};
}

} // namespace carillon::channels::redis
