// core_layer: the channel layer with the wire of channels_redis.core.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channels/redis/accounts.hpp"
#include "channels/redis/core_inbound.hpp"
#include "channels/redis/core_membership.hpp"
#include "channels/redis/core_names.hpp"
#include "channels/redis/core_reader.hpp"
#include "channels/redis/core_sender.hpp"
#include "channels/redis/core_source.hpp"
#include "channels/redis/credits.hpp"
#include "channels/redis/redis_layer.hpp"
#include "channels/redis/registry.hpp"
#include "net/io_thread.hpp"

namespace carillon::channels::redis {

// docs/protocols/channel-layer.md says what is on the wire.
class core_layer final : public redis_layer, private host_events {
public:
    // `options` were checked by redis_layer::make.
    core_layer(redis_layer_options options, hub* members, mailboxes* boxes, logger& log,
               metrics& counted);
    ~core_layer() override;

    void start() override;
    bool flush(steady_time deadline) override { return book_.flush(deadline); }
    void stop(std::chrono::milliseconds patience) override;

    result<void> group_send(std::string_view group, event e) override;
    result<void> send(std::string_view channel, event e) override;
    void group_send_confirmed(std::string_view group, event e, delivery_told told) override;
    void send_confirmed(std::string_view channel, event e, delivery_told told) override;
    result<void> group_add(std::string_view group, std::string_view channel) override;
    result<void> group_discard(std::string_view group, std::string_view channel) override;
    result<std::unique_ptr<channel_source>> receive_from(std::string_view channel) override;
    bool reaches_members(std::string_view group, std::function<void()> ready) override;
    result<void> status() const override;

private:
    void on_restore(host& of) noexcept override;
    void on_ready(host& of) noexcept override;
    void on_settled(host& of) noexcept override { sender_.on_settled(of); }
    void on_lost(host& of) noexcept override;
    core_sender::hosts make_hosts();
    void make_reader(std::size_t index);
    void read_all();
    void tell_of_gap(std::size_t index);

    result<void> submit(bool to_group, std::string_view name, const event& e, delivery_told& told);
    result<void> change_foreign(bool add, std::string_view group, std::string_view channel);
    void put_foreign(bool add, const std::string& group, const std::string& channel,
                     steady_time expires);
    void give_up(const std::shared_ptr<std::promise<void>>& done);

    const redis_layer_options options_;
    hub* const members_;
    mailboxes* const boxes_;
    logger& log_;
    const core_names names_;
    const wire::layer::message_codec codec_;
    layer_counters counted_;
    counter& undelivered_;
    accounts book_;
    net::io_thread io_;
    group_registry groups_;
    std::atomic<bool> stopped_{false};

    // of the I/O thread
    core_sender::hosts hosts_;
    core_membership membership_;
    core_sender sender_;
    credits allowance_;
    std::optional<core_inbound> inbound_;
    std::vector<std::unique_ptr<core_reader>> readers_; // by host; none in a process without shards
    std::vector<bool> outage_;                          // by host: consumers have missed something
    std::vector<std::weak_ptr<core_intake>> intakes_;
};

} // namespace carillon::channels::redis
