#include "channels/redis/credits.hpp"

#include <algorithm>
#include <utility>

namespace carillon::channels::redis {

struct credits::state {
    state(std::size_t most, std::function<void()> freed_, counter& gauge_)
        : freed(std::move(freed_)), gauge(&gauge_), left(static_cast<std::int64_t>(most)) {}

    void give(std::size_t count) {
        std::lock_guard lock(guard);
        left += static_cast<std::int64_t>(count);
        if (left > 0 && std::exchange(starved, false) && freed)
            freed();
    }

    std::mutex guard;
    std::function<void()> freed; // empty once nobody is left to hear it
    counter* gauge;
    std::int64_t left; // below zero while large events took more than there was
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
    const auto got =
        std::min(wanted, static_cast<std::size_t>(std::max<std::int64_t>(state_->left, 0)));
    state_->left -= static_cast<std::int64_t>(got);
    state_->starved = state_->starved || got < wanted;
    return got;
}

void credits::unreserve(std::size_t count) { state_->give(count); }

std::shared_ptr<void> credits::share(std::size_t more) {
    {
        std::lock_guard lock(state_->guard);
        state_->left -= static_cast<std::int64_t>(more);
        state_->gauge->add();
    }
    return {nullptr, [of = state_, more](void*) {
                {
                    std::lock_guard lock(of->guard);
                    if (of->gauge)
                        of->gauge->sub();
                }
                of->give(1 + more);
            }};
}

} // namespace carillon::channels::redis
