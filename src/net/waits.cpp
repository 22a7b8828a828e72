#include <carillon/net/waits.hpp>

#include "net/shard.hpp"
#include <carillon/base/error.hpp>

namespace carillon {

namespace detail {

void blocking_wait::await_suspend(std::coroutine_handle<> waiting) {
    auto* home = net::shard::current();
    CARILLON_ASSERT(home, "blocking() is awaited on a shard's thread");
    // The awaiting frame, and this object in it, stay until it is resumed: `this` may travel to the other thread.
    const bool taken = home->shared().pool.submit([this, home, waiting] {
        try {
            work_();
        } catch (...) {
            thrown_ = std::current_exception(); // travels back to whoever awaits
        }
        home->events().post([waiting] { waiting.resume(); });
    });
    if (!taken) {
        thrown_ = std::make_exception_ptr(
            error(errc::unavailable, "the server has too much to do at the moment; try again"));
        home->events().post([waiting] { waiting.resume(); });
    }
}

void blocking_wait::rethrow() const {
    if (thrown_)
        std::rethrow_exception(thrown_);
}

} // namespace detail

void pause::await_suspend(std::coroutine_handle<> waiting) {
    auto* home = net::shard::current();
    CARILLON_ASSERT(home, "pause is awaited on a shard's thread");
    home->events().at(now() + time_, [waiting] { waiting.resume(); });
}

} // namespace carillon
