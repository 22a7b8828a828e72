#include "channels/redis/backlog.hpp"

#include <mutex>
#include <utility>

namespace carillon::channels::redis {

struct backlog::state {
    state(std::size_t most_, std::function<void()> gone_, counter& gauge_)
        : most(most_), gone(std::move(gone_)), gauge(&gauge_) {}

    void finish(std::size_t weight) {
        std::lock_guard lock(guard);
        open -= weight;
        if (gauge)
            gauge->sub();
        if (open == 0 && std::exchange(refused, false) && gone)
            gone();
    }

    const std::size_t most;
    std::mutex guard;
    std::function<void()> gone; // empty once nobody is left to hear it
    counter* gauge;
    std::size_t open = 0;
    bool refused = false;
};

backlog::backlog(std::size_t most, std::function<void()> gone, counter& gauge)
    : state_(std::make_shared<state>(most, std::move(gone), gauge)) {}

backlog::~backlog() {
    std::lock_guard lock(state_->guard);
    state_->gone = nullptr;
    state_->gauge = nullptr;
}

std::shared_ptr<void> backlog::share(std::size_t weight) {
    {
        std::lock_guard lock(state_->guard);
        if (state_->open >= state_->most) {
            state_->refused = true;
            return nullptr;
        }
        state_->open += weight;
        state_->gauge->add();
    }
    // Not null, so that it differs from a refusal; the object behind it is the state itself.
    return {static_cast<void*>(state_.get()), [of = state_, weight](void*) { of->finish(weight); }};
}

} // namespace carillon::channels::redis
