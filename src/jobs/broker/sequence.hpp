// sequence: steps that each tell their outcome later, one after the other; a step that cannot be done now is tried
// again until it can, or until the sequence is given up.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <carillon/base/result.hpp>

namespace carillon::jobs {

// Thread-safe.
class sequence : public std::enable_shared_from_this<sequence> {
public:
    using told = std::function<void(const result<void>&)>;
    // Calls `told` once, now or later, on any thread. A step that failed is called again as a whole.
    using step = std::function<void(told)>;
    enum class verdict : std::uint8_t { pause, skip, give_up };
    struct parts {
        std::deque<step> steps;
        std::function<verdict(const failure&)> judge; // what a failure means
        // Somebody is to call resume() later.
        std::function<void(std::shared_ptr<sequence>)> paused;
        // Once: whether every step was done or skipped.
        std::function<void(bool completed)> ended;
    };
    static std::shared_ptr<sequence> make(parts of) {
        return std::shared_ptr<sequence>(new sequence(std::move(of)));
    }

    void start() { run(); }
    void resume() { run(); }
    // No further step begins; `ended` hears false now, unless it has heard before.
    void give_up() { end(false); }
    // By a step before it tells its outcome: steps that follow it before all others.
    void follow_with(std::vector<step> next) {
        std::lock_guard lock(guard_);
        // The running step is still the first.
        parts_.steps.insert(parts_.steps.begin() + 1, std::make_move_iterator(next.begin()),
                            std::make_move_iterator(next.end()));
    }

private:
    explicit sequence(parts of) : parts_(std::move(of)) {}

    void run() {
        step next;
        {
            std::lock_guard lock(guard_);
            if (ended_)
                return;
            if (!parts_.steps.empty())
                next = parts_.steps.front();
        }
        if (!next)
            return end(true);
        next([self = shared_from_this()](const result<void>& outcome) { self->hear(outcome); });
    }

    void hear(const result<void>& outcome) {
        if (!outcome) {
            const auto meant = parts_.judge(outcome.error());
            if (meant == verdict::give_up)
                return end(false);
            if (meant == verdict::pause)
                return parts_.paused(shared_from_this());
        }
        {
            std::lock_guard lock(guard_);
            if (ended_)
                return;
            parts_.steps.pop_front();
        }
        run();
    }

    void end(bool completed) {
        std::function<void(bool)> tell;
        std::deque<step> dropped;
        {
            std::lock_guard lock(guard_);
            if (ended_)
                return;
            ended_ = true;
            tell = std::move(parts_.ended);
            dropped.swap(parts_.steps);
        }
        tell(completed);
    }

    std::mutex guard_;
    parts parts_;
    bool ended_ = false;
};

} // namespace carillon::jobs
