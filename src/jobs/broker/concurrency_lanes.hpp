// concurrency_lanes: the jobs of this process that wait for a place of their concurrency limit, in lanes: those of one
// lane wait for the same. Only the first one asks, the others stand behind it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <carillon/base/clock.hpp>

namespace carillon::jobs {

// Not thread-safe. A job is known by its number, which is not 0. A lane is there while somebody is in it.
class concurrency_lanes {
public:
    // Between two questions for the same lane.
    static constexpr std::chrono::milliseconds pause_first{50}, pause_max{1'000};

    // Whether there are others in the lane: then it stands behind them. Else it is the one that asks.
    bool join(const std::string& name, std::int64_t job);
    // The one that asks was refused: it stands in front again.
    void refused(const std::string& name, std::int64_t job);
    // The one that asks has its place. Gives the next one, which may ask now; 0: there is none.
    std::int64_t given(const std::string& name);
    // The first ones of the lanes whose pause had passed by then: they may ask now.
    std::vector<std::int64_t> due(steady_time then);
    // When the next one may ask.
    std::optional<steady_time> next() const;
    // A place is free that these lanes may have waited for. True where somebody may ask now.
    bool hurry(const std::function<bool(const std::string& name)>& concerned);
    // It leaves the lane. True when it stood there, and did not ask.
    bool remove(const std::string& name, std::int64_t job);
    // Takes out the half of those that stand there, the last ones.
    std::vector<std::int64_t> halve(const std::string& name);
    void clear();
    std::size_t size() const noexcept { return standing_; } // without those that ask

private:
    struct lane {
        std::deque<std::int64_t> standing;
        std::int64_t asks = 0; // 0: nobody
        steady_time ask_at{};
        std::chrono::milliseconds pause = pause_first;
    };
    std::int64_t let_ask(lane& in);
    std::map<std::string, lane> lanes_;
    std::size_t standing_ = 0;
};

} // namespace carillon::jobs
