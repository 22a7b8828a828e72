// mailboxes: the channels of this process by name, those of single consumers and those that were named by hand.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "channels/group_table.hpp"
#include "channels/hand_queues.hpp"
#include "net/shard.hpp"
#include <carillon/channels/channel_layer.hpp>

namespace carillon::channels {

// Hears which consumers have a channel of their own. Called on any shard, in order for each channel, under a lock: must
// be quick and not call back.
class channel_watcher {
public:
    virtual void on_opened(std::string_view channel) = 0;
    virtual void on_closed(std::string_view channel) = 0;

protected:
    ~channel_watcher() = default;
};

// Thread-safe where not said otherwise. A channel holds at most `capacity` events that nobody has handled yet, each no
// longer than `expiry`.
class mailboxes {
public:
    mailboxes(const channel_layer_options& options, metrics& counted);
    // At most one, before the first open(); it outlives every shard.
    void watch(channel_watcher& watcher) noexcept { watcher_ = &watcher; }

    // A new process-local channel of a consumer: "specific.<process>!<socket>", or "<prefix>specific.<socket>" with
    // channel_layer_options::pubsub_names. On the consumer's shard. The name is valid until close().
    std::string open(net::shard& home, subscriber& who);
    // On the consumer's shard: what is still under way to the channel is dropped.
    void close(const std::string& channel);

    // To a consumer's channel, or into the queue of a hand-named one. A consumer that has gone is no failure: its
    // event is dropped, as in Channels. `credit` ends when the consumer's shard has handed the event to it.
    result<void> send(std::string_view channel, const event& e,
                      std::shared_ptr<void> credit = nullptr);
    // Whether a consumer has this channel at the moment.
    bool is_open(std::string_view channel) { return find(channel) != nullptr; }
    // Whether the name belongs to this process, as far as its form tells ("specific.<process>!…"), or is open here.
    bool is_local(std::string_view channel);
    // Whether the name has the form of one that was given by hand, not of a consumer's own channel.
    bool is_by_hand(std::string_view channel) const noexcept;
    // 32 hex digits, new for each start.
    const std::string& process() const noexcept { return process_; }

    // Runs `work(home, who)` on the shard of the consumer that owns the channel: before the return when that is the
    // present one, else soon. Nothing if there is none.
    template <class F>
    void with_owner(std::string_view channel, F work);

    // How long an event may wait before it is handled.
    std::chrono::seconds expiry() const noexcept { return options_.expiry; }

    // The channels that were named by hand.
    hand_queues& by_hand() noexcept { return by_hand_; }

private:
    struct box {
        net::shard* home = nullptr;
        subscriber* who = nullptr; // read and cleared on `home` only
        std::atomic<std::uint32_t> held{0};
    };
    std::shared_ptr<box> find(std::string_view channel);

    const channel_layer_options options_;
    const std::string process_;
    channel_watcher* watcher_ = nullptr;
    counter& full_;
    counter& expired_;
    std::mutex guard_;
    std::uint64_t opened_ = 0;
    std::unordered_map<std::string, std::shared_ptr<box>> boxes_;
    hand_queues by_hand_;
};

template <class F>
void mailboxes::with_owner(std::string_view channel, F work) {
    auto there = find(channel);
    if (!there)
        return;
    auto now_on = [there, work = std::move(work)] {
        if (there->who)
            work(*there->home, *there->who);
    };
    if (there->home == net::shard::current())
        return now_on();
    net::hand_over(*there->home, std::move(now_on));
}

} // namespace carillon::channels
