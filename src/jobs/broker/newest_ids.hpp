// newest_ids: a set of ids that remembers the newest ones only, so that it cannot grow without end.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>

namespace carillon::jobs {

// Not thread-safe.
class newest_ids {
public:
    explicit newest_ids(std::size_t max) : max_(max) {}

    // An id that is there keeps its place.
    void add(std::string id) {
        if (max_ == 0 || !ids_.insert(id).second)
            return;
        order_.push_back(std::move(id));
        if (order_.size() > max_) {
            ids_.erase(order_.front());
            order_.pop_front();
        }
    }
    bool contains(std::string_view id) const { return ids_.find(id) != ids_.end(); }
    std::size_t size() const noexcept { return order_.size(); }
    // The oldest first.
    const std::deque<std::string>& all() const noexcept { return order_; }

private:
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view id) const noexcept {
            return std::hash<std::string_view>()(id);
        }
    };
    const std::size_t max_;
    std::deque<std::string> order_;
    std::unordered_set<std::string, hash, std::equal_to<>> ids_;
};

} // namespace carillon::jobs
