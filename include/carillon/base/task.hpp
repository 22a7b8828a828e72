// task<T>: the coroutine type of Carillon. Lazy, move-only; whoever awaits it resumes where it ends.
//
// A task starts when it is awaited, or when its owner calls start(). Destroying a task that has not finished
// destroys its frame, and with it everything the coroutine owns. A default-constructed task<> is one that has
// already finished: a handler that has nothing to wait for is a plain function that ends with `return {};`.
//
// g++ 12 destroys some temporaries of a co_await expression twice: such an expression holds no braces and no
// capturing lambda (tools/tidy.py checks; docs/decisions/0002-own-task-type.md tells the story).
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include <carillon/base/assert.hpp>

namespace carillon {

// Told once when a started task has ended. `thrown` is what left the coroutine, or null.
class completion {
public:
    virtual void completed(std::exception_ptr thrown) noexcept = 0;

protected:
    ~completion() = default;
};

template <class T = void>
class task;

namespace detail {

struct task_promise_base {
    std::coroutine_handle<> awaiting;
    completion* told = nullptr;
    std::exception_ptr thrown;

    struct final_awaiter {
        bool await_ready() noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
            auto& promise = self.promise();
            if (promise.awaiting)
                return promise.awaiting;
            if (promise.told)
                promise.told->completed(std::exchange(promise.thrown, nullptr));
            return std::noop_coroutine();
        }
        void await_resume() noexcept {}
    };

    std::suspend_always initial_suspend() noexcept { return {}; }
    final_awaiter final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { thrown = std::current_exception(); }
    void rethrow() {
        if (thrown)
            std::rethrow_exception(std::exchange(thrown, nullptr));
    }
};

template <class T>
struct task_promise : task_promise_base {
    std::optional<T> returned;
    task<T> get_return_object() noexcept;
    template <class U>
    void return_value(U&& v) {
        returned.emplace(std::forward<U>(v));
    }
    T take() {
        rethrow();
        return std::move(*returned);
    }
};

template <>
struct task_promise<void> : task_promise_base {
    task<void> get_return_object() noexcept;
    void return_void() noexcept {}
    void take() { rethrow(); }
};

} // namespace detail

template <class T>
class [[nodiscard]] task {
public:
    using promise_type = detail::task_promise<T>;
    using handle = std::coroutine_handle<promise_type>;

    task() = default;
    explicit task(handle coroutine) noexcept : coroutine_(coroutine) {}
    task(task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    task& operator=(task&& other) noexcept {
        if (this != &other) {
            reset();
            coroutine_ = std::exchange(other.coroutine_, nullptr);
        }
        return *this;
    }
    ~task() { reset(); }

    // True when there is nothing left to run.
    bool done() const noexcept { return !coroutine_ || coroutine_.done(); }

    // Runs until the first suspension. `told` hears of the end, possibly before start() returns; it may
    // destroy this task then. Only for a task that is not awaited and not done.
    void start(completion& told) {
        CARILLON_ASSERT(coroutine_ && !coroutine_.done(), "start() of a task that has ended");
        coroutine_.promise().told = &told;
        coroutine_.resume();
    }

    auto operator co_await() && noexcept {
        struct awaiter {
            handle coroutine;
            bool await_ready() const noexcept { return !coroutine; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
                coroutine.promise().awaiting = awaiting;
                return coroutine;
            }
            T await_resume() {
                if constexpr (std::is_void_v<T>) {
                    if (coroutine)
                        coroutine.promise().take();
                } else {
                    return coroutine.promise().take();
                }
            }
        };
        return awaiter{coroutine_};
    }

private:
    void reset() noexcept {
        if (coroutine_)
            std::exchange(coroutine_, nullptr).destroy();
    }
    handle coroutine_ = nullptr;
};

namespace detail {
template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
    return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}
inline task<void> task_promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}
} // namespace detail

} // namespace carillon
