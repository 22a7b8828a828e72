// memory_layer: the channel layer of one process, over all its shards. Fit for production on one node.
#pragma once

#include "channels/hub.hpp"
#include "channels/mailboxes.hpp"
#include <carillon/channels/channel_layer.hpp>

namespace carillon::channels {

// Thread-safe. Events are shared, never copied: they are immutable, which gives what Channels' deep copy is for.
class memory_layer final : public channel_layer {
public:
    memory_layer(hub& members, mailboxes& boxes) : members_(members), boxes_(boxes) {}

    result<void> group_send(std::string_view group, event e) override;
    result<void> send(std::string_view channel, event e) override;
    // Known at once: one queue for all consumers of this process that are members, and one for each hand-named channel.
    // A consumer that is too slow is counted where it is (carillon_mailbox_dropped_total).
    void group_send_confirmed(std::string_view group, event e, delivery_told told) override;
    result<void> group_add(std::string_view group, std::string_view channel) override;
    result<void> group_discard(std::string_view group, std::string_view channel) override;
    result<std::unique_ptr<channel_source>> receive_from(std::string_view channel) override;

private:
    result<delivery> publish(std::string_view group, const event& e);

    hub& members_;
    mailboxes& boxes_;
};

} // namespace carillon::channels
