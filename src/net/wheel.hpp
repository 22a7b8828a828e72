// wheel: one coarse timer for each of very many objects, in whole seconds, without memory of its own per object.
#pragma once

#include <array>
#include <cstdint>

#include <carillon/base/assert.hpp>

namespace carillon::net {

// Put this into what shall be reminded. Leaves its wheel when it is destroyed.
class wheel_entry {
public:
    wheel_entry() = default;
    wheel_entry(const wheel_entry&) = delete;
    ~wheel_entry() { unlink(); }
    bool scheduled() const noexcept { return next_ != nullptr; }
    void unlink() noexcept {
        if (!next_)
            return;
        next_->previous_ = previous_;
        previous_->next_ = next_;
        next_ = previous_ = nullptr;
    }

private:
    friend class wheel;
    wheel_entry* next_ = nullptr;
    wheel_entry* previous_ = nullptr;
    std::uint32_t due_ = 0;
};

// Not thread-safe: one wheel per shard. Seconds count from the start of the shard.
class wheel {
public:
    wheel() {
        for (auto& bucket : buckets_)
            bucket.next_ = bucket.previous_ = &bucket;
    }

    // (Re)schedules `entry` for that second, at least one second from the present one.
    void schedule(wheel_entry& entry, std::uint32_t second) noexcept {
        entry.unlink();
        entry.due_ = second <= present_ ? present_ + 1 : second;
        insert(entry);
    }

    // The same, unless `entry` is due earlier already.
    void schedule_by(wheel_entry& entry, std::uint32_t second) noexcept {
        if (!entry.scheduled() || entry.due_ > second)
            schedule(entry, second);
    }

    // Moves on to `second` and calls `remind(entry)` for each entry that is due; the entry is unlinked before the call.
    template <class F>
    void advance(std::uint32_t second, F&& remind) {
        while (present_ < second) {
            ++present_;
            turn(buckets_[present_ % size], remind);
        }
    }

    // Every entry, in no order; `visit` may unlink the entry it is given, and only that.
    template <class F>
    void for_each(F&& visit) {
        for (auto& bucket : buckets_)
            for (auto* entry = bucket.next_; entry != &bucket;) {
                auto* following = entry->next_;
                visit(*entry);
                entry = following;
            }
    }

private:
    static constexpr std::uint32_t size = 64;

    void insert(wheel_entry& entry) noexcept {
        auto& bucket = buckets_[entry.due_ % size];
        entry.next_ = &bucket;
        entry.previous_ = bucket.previous_;
        bucket.previous_->next_ = &entry;
        bucket.previous_ = &entry;
    }

    template <class F>
    void turn(wheel_entry& bucket, F& remind) {
        // The due entries move to a list of their own first: `remind` may destroy or reschedule any of them.
        wheel_entry due;
        due.next_ = due.previous_ = &due;
        for (auto* entry = bucket.next_; entry != &bucket;) {
            auto* following = entry->next_;
            if (entry->due_ <= present_)
                move_to(*entry, due);
            entry = following;
        }
        while (due.next_ != &due) {
            auto& entry = *due.next_;
            entry.unlink();
            remind(entry);
        }
        due.next_ = due.previous_ = nullptr;
    }

    static void move_to(wheel_entry& entry, wheel_entry& list) noexcept {
        entry.unlink();
        entry.next_ = &list;
        entry.previous_ = list.previous_;
        list.previous_->next_ = &entry;
        list.previous_ = &entry;
    }

    std::array<wheel_entry, size> buckets_;
    std::uint32_t present_ = 0;
};

} // namespace carillon::net
