// Sending, and knowing what became of it: receipts that a coroutine awaits, or a thread waits for.
//
//     auto sent = cr::confirm_group_send(layer(), "room", e);
//     const cr::delivery d = co_await sent;
#pragma once

#include <coroutine>
#include <memory>
#include <string_view>

#include <carillon/base/clock.hpp>
#include <carillon/channels/channel_layer.hpp>

namespace carillon {

// The event was handed to the layer before this existed; not to await it is fine. Belongs to one thread.
class [[nodiscard]] confirmed {
public:
    confirmed(confirmed&&) noexcept = default;
    confirmed& operator=(confirmed&&) = delete;
    // A coroutine that is destroyed while it waits here is not resumed.
    ~confirmed();

    // On a shard's thread, where the coroutine resumes.
    bool await_ready() const noexcept;
    bool await_suspend(std::coroutine_handle<> waiting);
    // Throws carillon::error with what channel_layer says: channel_full, invalid, unavailable.
    delivery await_resume() const;

private:
    friend confirmed confirm_group_send(channel_layer&, std::string_view, event);
    friend confirmed confirm_send(channel_layer&, std::string_view, event);
    friend delivery wait_confirmed(const confirmed&, steady_time);
    struct outcome;
    confirmed();
    delivery_told told() const;
    std::shared_ptr<outcome> outcome_;
};

// channel_layer::group_send_confirmed and send_confirmed, at once.
confirmed confirm_group_send(channel_layer& layer, std::string_view group, event e);
confirmed confirm_send(channel_layer& layer, std::string_view channel, event e);

// For threads that may wait; not a shard's. Throws as the await does, and timed_out at the deadline, when the event may
// still arrive.
delivery wait_confirmed(const confirmed& sent, steady_time deadline);

} // namespace carillon
