#include "channels/redis/accounts.hpp"

namespace carillon::channels::redis {

std::optional<accounts::ticket> accounts::accept(std::size_t bytes) {
    std::lock_guard lock(guard_);
    if (events_ >= events_max_ || (events_ > 0 && bytes_ + bytes > bytes_max_))
        return std::nullopt;
    ++events_;
    bytes_ += bytes;
    gauge_.add();
    open_.push_back(true);
    return ticket(this, first_ + open_.size() - 1, bytes);
}

void accounts::finish(std::uint64_t number, std::size_t bytes) {
    std::lock_guard lock(guard_);
    --events_;
    bytes_ -= bytes;
    gauge_.sub();
    open_[number - first_] = false;
    while (!open_.empty() && !open_.front()) {
        open_.pop_front();
        ++first_;
    }
    moved_.notify_all();
}

void accounts::lost() noexcept {
    std::lock_guard lock(guard_);
    lost_ = true;
}

bool accounts::flush(steady_time deadline) {
    std::unique_lock lock(guard_);
    const auto end = first_ + open_.size();
    const bool settled = moved_.wait_until(lock, deadline, [&] { return first_ >= end; });
    return settled && !std::exchange(lost_, false);
}

} // namespace carillon::channels::redis
