// awaited<T>: a thread that may block waits for an outcome that is told on another one.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include <carillon/base/result.hpp>

namespace carillon::jobs {

// One outcome: the first that is told.
template <class T>
class awaited {
public:
    std::function<void(const result<T>&)> teller() {
        return [state = state_](const result<T>& outcome) {
            std::lock_guard lock(state->guard);
            if (!state->outcome)
                state->outcome = outcome;
            state->told.notify_all();
        };
    }
    result<T> wait() {
        std::unique_lock lock(state_->guard);
        state_->told.wait(lock, [&] { return state_->outcome.has_value(); });
        return *state_->outcome;
    }

private:
    struct shared {
        std::mutex guard;
        std::condition_variable told;
        std::optional<result<T>> outcome;
    };
    std::shared_ptr<shared> state_ = std::make_shared<shared>();
};

} // namespace carillon::jobs
