// pubsub_layer: the channel layer with the wire of channels_redis.pubsub.
#pragma once

#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "channels/redis/accounts.hpp"
#include "channels/redis/backlog.hpp"
#include "channels/redis/named_channels.hpp"
#include "channels/redis/pubsub_inbound.hpp"
#include "channels/redis/pubsub_names.hpp"
#include "channels/redis/pubsub_sender.hpp"
#include "channels/redis/redis_layer.hpp"
#include "channels/redis/registry.hpp"
#include "channels/redis/subscriptions.hpp"
#include "net/io_thread.hpp"

namespace carillon::channels::redis {

// docs/protocols/channel-layer.md says what is on the wire. Two connections to each host: one for commands, one for
// subscriptions. When either is lost, events wait; when both are back and everything is subscribed again, they leave,
// and consumers hear of the gap.
class pubsub_layer final : public redis_layer,
                           private host_events,
                           private subscriptions_events,
                           private group_watcher,
                           private channel_watcher {
public:
    // `options` were checked by redis_layer::make.
    pubsub_layer(redis_layer_options options, hub* members, mailboxes* boxes, logger& log,
                 metrics& counted);
    ~pubsub_layer() override;

    void start() override;
    bool flush(steady_time deadline) override { return book_.flush(deadline); }
    // Whoever wants what was sent to arrive calls flush() before.
    void stop(std::chrono::milliseconds patience) override;

    result<void> group_send(std::string_view group, event e) override;
    result<void> send(std::string_view channel, event e) override;
    void group_send_confirmed(std::string_view group, event e, delivery_told told) override;
    void send_confirmed(std::string_view channel, event e, delivery_told told) override;
    // Only the process that has a channel can change its memberships: errc::invalid in others.
    result<void> group_add(std::string_view group, std::string_view channel) override;
    result<void> group_discard(std::string_view group, std::string_view channel) override;
    result<std::unique_ptr<channel_source>> receive_from(std::string_view channel) override;
    bool accepts_group(std::string_view name) const noexcept override {
        return is_pubsub_name(name);
    }
    bool reaches_members(std::string_view group, std::function<void()> ready) override;
    result<void> status() const override;

private:
    void on_restore(host& of) noexcept override;
    void on_ready(host& of) noexcept override;
    void on_lost(host& of) noexcept override;
    void on_message(std::string_view topic, std::string_view payload) noexcept override {
        inbound_.take(topic, payload);
    }
    void on_subscribed(std::size_t index) noexcept override;
    void on_unsubscribed(std::size_t index, const failure& why) noexcept override;
    void on_first_member(std::string_view group) override { topics_.want(names_.topic_of(group)); }
    void on_last_member_left(std::string_view group) override {
        topics_.unwant(names_.topic_of(group));
    }
    void on_opened(std::string_view channel) override { topics_.want(channel); }
    void on_closed(std::string_view channel) override { topics_.unwant(channel); }

    void release(host& of);
    bool is_here(std::string_view channel) const { return boxes_ && boxes_->is_local(channel); }
    result<void> submit(std::string topic, const event& e, delivery_told& told);
    void tell_of_gap();
    void end();

    const redis_layer_options options_;
    hub* const members_;
    mailboxes* const boxes_;
    logger& log_;
    const pubsub_names names_;
    const wire::layer::message_codec codec_;
    layer_counters counted_;
    accounts book_;
    net::io_thread io_;
    registry topics_;
    named_channels named_;
    backlog unhandled_;

    // Held in common by who posts to the I/O thread, alone by stop(): what was posted is also done.
    mutable std::shared_mutex gate_;
    bool stopped_ = false;

    // of the I/O thread; who is there does not change between start() and the end
    std::vector<std::unique_ptr<host>> hosts_;
    std::vector<std::unique_ptr<subscriptions>> ears_; // by host
    std::vector<bool> outage_; // by host: consumers may have missed something
    std::vector<bool> deaf_;   // by host: its subscriptions were lost in this outage
    pubsub_sender sender_;
    pubsub_inbound inbound_;
};

} // namespace carillon::channels::redis
