// What a coroutine on a shard may wait for: a blocking call on another thread, or time.
#pragma once

#include <chrono>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace carillon {

namespace detail {

// Resumes its coroutine on the shard where it was suspended. Must be awaited on a shard's thread.
class blocking_wait {
public:
    explicit blocking_wait(std::function<void()> work) : work_(std::move(work)) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting);

protected:
    void rethrow() const; // what `work` threw, or errc::unavailable when no thread could take it

private:
    std::function<void()> work_;
    std::exception_ptr thrown_;
};

template <class T>
class blocking_result final : public blocking_wait {
public:
    template <class F>
    explicit blocking_result(F call)
        : blocking_result(std::make_shared<std::optional<T>>(), std::move(call)) {}
    T await_resume() {
        rethrow();
        return std::move(**returned_);
    }

private:
    template <class F>
    blocking_result(std::shared_ptr<std::optional<T>> returned, F call)
        : blocking_wait(
              [returned, call = std::move(call)]() mutable { returned->emplace(call()); }),
          returned_(returned) {}
    std::shared_ptr<std::optional<T>> returned_;
};

template <>
class blocking_result<void> final : public blocking_wait {
public:
    using blocking_wait::blocking_wait;
    void await_resume() { rethrow(); }
};

} // namespace detail

// Runs `call` on a thread of the blocking pool and returns what it returns, or throws what it throws. Name it before
// awaiting:
//     auto rows = cr::blocking([&] { return database.all(); });
//     use(co_await rows);
// Everything `call` refers to must live until the await is over, whatever happens to the connection: a handler that
// waits is never destroyed before its call has ended. Throws carillon::error (unavailable) when the pool's queue is
// full.
template <class F>
auto blocking(F call) {
    return detail::blocking_result<std::invoke_result_t<F&>>(std::move(call));
}

// Suspends for at least that time. On a shard's thread only.
class pause {
public:
    explicit pause(std::chrono::milliseconds time) noexcept : time_(time) {}
    bool await_ready() const noexcept { return time_.count() <= 0; }
    void await_suspend(std::coroutine_handle<> waiting);
    void await_resume() const noexcept {}

private:
    std::chrono::milliseconds time_;
};

} // namespace carillon
