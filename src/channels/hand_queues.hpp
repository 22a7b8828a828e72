// hand_queues: the channels of this process that were named by hand: queues of events, those who wait for them, and the
// groups that hold them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/channels/channel_layer.hpp>

namespace carillon::channels {

// Thread-safe. A channel holds at most `capacity` events, each no longer than `expiry`; what does not fit or has waited
// longer is counted (carillon_layer_dropped_total).
class hand_queues {
public:
    hand_queues(const channel_layer_options& options, metrics& counted);

    // errc::channel_full.
    result<void> put(std::string_view channel, const event& e);
    // The oldest event that has not expired. Does not wait.
    std::optional<event> take(std::string_view channel);
    // A reader that waits. Readers of one channel compete: an event goes to one of them, and to none that was
    // interrupted. These queues outlive it.
    std::unique_ptr<channel_source> reader(std::string channel);

    // Memberships of hand-named channels in groups; they end by leave() alone. Twice is as good as once.
    void join(std::string_view group, std::string_view channel);
    void leave(std::string_view group, std::string_view channel);
    // Into the queue of every member, all of them in one order for all publishers.
    delivery put_to_members(std::string_view group, const event& e);

    // How many channels hold events (expired ones for a while too) or have readers that wait.
    std::size_t size();

private:
    class source;
    struct waiting {
        event e;
        steady_time expires;
    };
    struct queue {
        std::deque<waiting> events;
        std::condition_variable arrived;
        std::uint32_t readers = 0; // that wait; the queue stays for them
    };
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };
    template <class T>
    using by_name = std::unordered_map<std::string, T, text_hash, std::equal_to<>>;

    // These want the lock.
    queue& queue_of(std::string_view channel);
    result<void> enqueue(std::string_view channel, const event& e);
    std::optional<event> oldest(queue& from);
    void sweep();

    const std::uint32_t capacity_;
    const std::chrono::seconds expiry_;
    counter& full_;
    counter& expired_;
    std::mutex guard_;
    by_name<queue> queues_;
    std::size_t sweep_at_ = 64; // so many queues: those of which all has expired are forgotten
    by_name<std::vector<std::string>> members_;
    std::atomic<bool> any_members_{false}; // most sites have none, and ask at every event
};

} // namespace carillon::channels
