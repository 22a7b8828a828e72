#include <carillon/base/task.hpp>

#include <stdexcept>
#include <string>

#include <doctest/doctest.h>

namespace carillon {
namespace {

struct listener final : completion {
    bool told = false;
    std::exception_ptr thrown;
    void completed(std::exception_ptr e) noexcept override {
        told = true;
        thrown = e;
    }
};

// Suspends until somebody resumes it.
struct gate {
    std::coroutine_handle<> waiting;
    bool await_ready() noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) noexcept { waiting = h; }
    void await_resume() noexcept {}
};

task<std::string> greeting(gate& opened) {
    co_await opened;
    co_return "hello";
}
task<> collect(gate& opened, std::string& into) { into = co_await greeting(opened); }
task<int> fails() {
    throw std::runtime_error("no");
    co_return 1;
}
task<> passes_on() { co_await fails(); }
task<> awaits_nothing(bool& ran) {
    co_await task<>();
    ran = true;
}

} // namespace

TEST_CASE("a task resumes whoever awaits it, and tells its completion once") {
    gate opened;
    std::string into;
    listener heard;
    auto running = collect(opened, into);
    CHECK_FALSE(running.done());
    running.start(heard);
    CHECK_FALSE(heard.told);
    opened.waiting.resume();
    CHECK(heard.told);
    CHECK(into == "hello");
    CHECK(running.done());
}

TEST_CASE("an exception travels through the tasks that await") {
    listener heard;
    auto running = passes_on();
    running.start(heard);
    REQUIRE(heard.thrown);
    CHECK_THROWS_AS(std::rethrow_exception(heard.thrown), std::runtime_error);
}

TEST_CASE("a suspended task that is dropped frees what it holds") {
    gate opened;
    std::string into;
    listener heard;
    {
        auto running = collect(opened, into);
        running.start(heard);
    }
    CHECK_FALSE(heard.told);
}

TEST_CASE("an empty task is one that has ended") {
    CHECK(task<>().done());
    bool ran = false;
    listener heard;
    auto running = awaits_nothing(ran);
    running.start(heard);
    CHECK(ran);
}

} // namespace carillon
