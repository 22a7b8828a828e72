// outgoing: what one turn of a loop hands to other loops. Each of them is woken once for all of it.
#pragma once

#include <memory>
#include <vector>

#include "net/loop.hpp"

namespace carillon::net {

// On one thread. The loops named in add() live until send().
class outgoing {
public:
    // `sends_for` has send() called at the end of each of its turns that gathered something, before what was deferred
    // later; null: the owner calls send().
    explicit outgoing(loop* sends_for = nullptr) : sends_for_(sends_for) {}
    outgoing(const outgoing&) = delete;

    // In the order of calls for each target.
    void add(loop& target, std::unique_ptr<posted> work);
    void send();

    // While it lives, current() of this thread is `gathers`.
    class here {
    public:
        explicit here(outgoing& gathers) noexcept;
        here(const here&) = delete;
        ~here();

    private:
        outgoing* const before_;
    };
    // Null on a thread that gathers nothing.
    static outgoing* current() noexcept;

private:
    struct batch {
        loop* target;
        std::vector<std::unique_ptr<posted>> work;
    };
    loop* const sends_for_;
    bool deferred_ = false;
    std::vector<batch> batches_; // kept when empty: the same targets come again
};

} // namespace carillon::net
