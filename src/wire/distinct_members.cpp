#include "wire/distinct_members.hpp"

#include <algorithm>
#include <numeric>

namespace carillon::wire {

namespace {

// For the handful of members that messages have, looking for each costs less than sorting.
constexpr std::size_t few = 16;

object by_looking(std::vector<object::member>&& all) {
    object out;
    out.reserve(all.size());
    for (auto& [name, content] : all) {
        if (auto* there = out.find(name))
            *there = std::move(content);
        else
            out.append(std::move(name), std::move(content));
    }
    return out;
}

} // namespace

object without_duplicates(std::vector<object::member>&& all) {
    if (all.size() <= few)
        return by_looking(std::move(all));
    // Sorting keeps a text made of thousands of names from costing their square.
    std::vector<std::size_t> order(all.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const int names = all[a].first.compare(all[b].first);
        return names != 0 ? names < 0 : a < b;
    });
    std::vector<bool> superseded(all.size());
    for (std::size_t begin = 0; begin < order.size();) {
        auto end = begin + 1;
        while (end < order.size() && all[order[end]].first == all[order[begin]].first)
            superseded[order[end++]] = true;
        if (end - begin > 1)
            all[order[begin]].second = std::move(all[order[end - 1]].second);
        begin = end;
    }
    object out;
    out.reserve(all.size());
    for (std::size_t i = 0; i < all.size(); ++i)
        if (!superseded[i])
            out.append(std::move(all[i].first), std::move(all[i].second));
    return out;
}

} // namespace carillon::wire
