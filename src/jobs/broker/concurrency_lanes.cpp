#include "jobs/broker/concurrency_lanes.hpp"

#include <algorithm>

namespace carillon::jobs {

bool concurrency_lanes::join(const std::string& name, std::int64_t job) {
    auto& in = lanes_[name];
    if (in.asks == 0 && in.standing.empty()) {
        in.asks = job;
        return false;
    }
    in.standing.push_back(job);
    ++standing_;
    return true;
}

void concurrency_lanes::refused(const std::string& name, std::int64_t job) {
    auto& in = lanes_[name];
    in.asks = 0;
    in.standing.push_front(job);
    ++standing_;
    in.ask_at = now() + in.pause;
    in.pause = std::min(in.pause * 2, pause_max);
}

std::int64_t concurrency_lanes::given(const std::string& name) {
    const auto found = lanes_.find(name);
    if (found == lanes_.end())
        return 0;
    auto& in = found->second;
    in.asks = 0;
    in.pause = pause_first;
    if (!in.standing.empty())
        return let_ask(in);
    lanes_.erase(found);
    return 0;
}

std::int64_t concurrency_lanes::let_ask(lane& in) {
    in.asks = in.standing.front();
    in.standing.pop_front();
    --standing_;
    return in.asks;
}

std::vector<std::int64_t> concurrency_lanes::due(steady_time then) {
    std::vector<std::int64_t> all;
    for (auto& [name, in] : lanes_)
        if (in.asks == 0 && in.ask_at <= then)
            all.push_back(let_ask(in));
    return all;
}

std::optional<steady_time> concurrency_lanes::next() const {
    std::optional<steady_time> first;
    for (const auto& [name, in] : lanes_)
        if (in.asks == 0 && (!first || in.ask_at < *first))
            first = in.ask_at;
    return first;
}

bool concurrency_lanes::hurry(const std::function<bool(const std::string& name)>& concerned) {
    bool any = false;
    for (auto& [name, in] : lanes_) {
        if (in.asks != 0 || !concerned(name))
            continue;
        in.ask_at = now();
        in.pause = pause_first;
        any = true;
    }
    return any;
}

bool concurrency_lanes::remove(const std::string& name, std::int64_t job) {
    const auto found = lanes_.find(name);
    if (found == lanes_.end())
        return false;
    auto& in = found->second;
    const auto stood = std::erase(in.standing, job);
    standing_ -= stood;
    if (in.asks == job) {
        in.asks = 0;
        in.ask_at = now();
    }
    if (in.asks == 0 && in.standing.empty())
        lanes_.erase(found);
    return stood > 0;
}

std::vector<std::int64_t> concurrency_lanes::halve(const std::string& name) {
    std::vector<std::int64_t> out;
    const auto found = lanes_.find(name);
    if (found == lanes_.end())
        return out;
    auto& in = found->second;
    for (auto half = (in.standing.size() + 1) / 2; half > 0; --half) {
        out.push_back(in.standing.back());
        in.standing.pop_back();
        --standing_;
    }
    if (in.asks == 0 && in.standing.empty())
        lanes_.erase(found);
    return out;
}

void concurrency_lanes::clear() {
    lanes_.clear();
    standing_ = 0;
}

} // namespace carillon::jobs
