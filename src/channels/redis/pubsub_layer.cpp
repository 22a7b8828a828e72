#include "channels/redis/pubsub_layer.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include <fmt/format.h>

namespace carillon::channels::redis {

namespace {

wire::layer::codec_options wire_of(const redis_layer_options& options) {
    auto codec = options.codec;
    codec.random_prefix_bytes = 0;
    codec.age_max.reset();
    return codec;
}

result<void> check_name(std::string_view what, std::string_view name) {
    if (is_pubsub_name(name))
        return {};
    return failure{errc::invalid, fmt::format("a {} of the pubsub layer is 1 to {} bytes of UTF-8",
                                              what, pubsub_name_bytes_max)};
}

failure has_stopped() { return {errc::unavailable, "the channel layer has stopped"}; }

} // namespace

pubsub_layer::pubsub_layer(redis_layer_options options, hub* members, mailboxes* boxes, logger& log,
                           metrics& counted)
    : options_(std::move(options)), members_(members), boxes_(boxes), log_(log),
      names_(options_.common.prefix, options_.servers.hosts.size()), codec_(wire_of(options_)),
      counted_(counted),
      book_(options_.unconfirmed_events_max, options_.unconfirmed_bytes_max, counted_.waiting),
      topics_(
          options_.servers.hosts.size(),
          [this](std::string_view topic) { return names_.host_of(topic); },
          [this](std::size_t index) {
              io_.events().post([this, index] {
                  if (!ears_.empty())
                      ears_[index]->update();
              });
          }),
      named_(
          options_.common.capacity, counted_.capacity,
          [this](std::string_view channel) { topics_.want(channel); },
          [this](std::string_view channel) { topics_.unwant(channel); }),
      unhandled_(
          options_.undelivered_events_max, [this] { io_.events().post([this] { tell_of_gap(); }); },
          counted.add(
              metric_kind::gauge, "carillon_layer_undelivered",
              "Events taken from the layer's servers that the shards have not handled yet")),
      outage_(options_.servers.hosts.size()), deaf_(options_.servers.hosts.size()),
      sender_(hosts_, &topics_, book_, log, counted_),
      inbound_(options_.message_bytes_max, names_, codec_, members, boxes, named_, unhandled_, log,
               counted_) {
    if (!members_)
        return;
    members_->watch(static_cast<group_watcher&>(*this));
    boxes_->watch(static_cast<channel_watcher&>(*this));
}

pubsub_layer::~pubsub_layer() { stop(std::chrono::seconds(1)); }

void pubsub_layer::start() {
    std::unique_lock alone(gate_);
    for (std::size_t index = 0; index < options_.servers.hosts.size(); ++index) {
        const auto of = host_options::of(options_, index);
        const auto& where = options_.servers.hosts[index];
        hosts_.push_back(std::make_unique<host>(io_.events(), where, of,
                                                static_cast<host_events&>(*this), log_, counted_));
        ears_.push_back(std::make_unique<subscriptions>(
            io_.events(), where, index, of.connection, topics_,
            static_cast<subscriptions_events&>(*this), log_, counted_));
    }
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        hosts_[index]->start();
        ears_[index]->start();
    }
    io_.start();
}

// --- connections come and go, on the I/O thread ---

void pubsub_layer::on_restore(host& of) noexcept {
    if (ears_[of.index()]->subscribed())
        release(of);
}

void pubsub_layer::on_subscribed(std::size_t index) noexcept { release(*hosts_[index]); }

// Who lost its subscriptions cannot know whether others lost theirs, too.
void pubsub_layer::release(host& of) {
    std::chrono::milliseconds settle{0};
    if (of.is_another())
        settle = of.settle_time();
    else if (deaf_[of.index()])
        settle = of.settle_time_after_cut();
    of.release(settle);
}

void pubsub_layer::on_lost(host& of) noexcept { outage_[of.index()] = true; }

void pubsub_layer::on_unsubscribed(std::size_t index, const failure& why) noexcept {
    outage_[index] = deaf_[index] = true;
    hosts_[index]->hold(why.message);
}

void pubsub_layer::on_ready(host& of) noexcept {
    if (!outage_[of.index()])
        return;
    outage_[of.index()] = deaf_[of.index()] = false;
    tell_of_gap();
}

void pubsub_layer::tell_of_gap() {
    if (!members_)
        return;
    counted_.gaps.add();
    members_->tell_everybody(event(std::string(gap_event_type), {}));
}

// --- from any thread ---

result<void> pubsub_layer::submit(std::string topic, const event& e, delivery_told& told) {
    if (is_reserved_event_type(e.type()))
        return failure{errc::invalid, fmt::format("the event type '{}' is reserved", e.type())};
    const auto packed = wire::layer::packed_event::pack(e.type(), e.members(), codec_.format());
    if (!packed)
        return packed.error();
    std::shared_lock held(gate_);
    if (stopped_)
        return has_stopped();
    const auto index = names_.host_of(topic);
    if (index < hosts_.size() && hosts_[index]->refuses()) {
        counted_.unavailable.add();
        return failure{errc::unavailable,
                       fmt::format("{}: {}", hosts_[index]->name(), hosts_[index]->trouble())};
    }
    auto payload = codec_.encode(*packed, wire::layer::message_codec::addressing::none, {});
    auto place = book_.accept(payload.size() + topic.size());
    if (!place) {
        counted_.unavailable.add();
        return failure{errc::unavailable, "too many events wait for the channel layer's server"};
    }
    auto what = std::make_shared<publication>(std::move(topic), std::move(payload),
                                              *std::move(place), std::move(told));
    what->host = index;
    what->expires = now() + options_.send_timeout;
    io_.events().post([this, what = std::move(what)]() mutable { sender_.send(std::move(what)); });
    return {};
}

result<void> pubsub_layer::group_send(std::string_view group, event e) {
    if (auto sound = check_name("group name", group); !sound)
        return sound;
    delivery_told nobody;
    return submit(names_.topic_of(group), e, nobody);
}

result<void> pubsub_layer::send(std::string_view channel, event e) {
    if (auto sound = check_name("channel name", channel); !sound)
        return sound;
    if (is_here(channel) && !is_reserved_event_type(e.type()))
        return boxes_->send(channel, e);
    delivery_told nobody;
    return submit(std::string(channel), e, nobody);
}

void pubsub_layer::group_send_confirmed(std::string_view group, event e, delivery_told told) {
    auto sent = check_name("group name", group);
    if (sent)
        sent = submit(names_.topic_of(group), e, told);
    if (!sent)
        told(sent.error());
}

void pubsub_layer::send_confirmed(std::string_view channel, event e, delivery_told told) {
    if (is_here(channel))
        return channel_layer::send_confirmed(channel, std::move(e), std::move(told));
    auto sent = check_name("channel name", channel);
    if (sent)
        sent = submit(std::string(channel), e, told);
    if (!sent)
        told(sent.error());
}

result<void> pubsub_layer::group_add(std::string_view group, std::string_view channel) {
    if (auto sound = check_name("group name", group); !sound)
        return sound;
    if (!is_here(channel))
        return failure{errc::invalid,
                       fmt::format("'{}' is no channel of a consumer in this process: in the "
                                   "pubsub layer only that process can add it to a group",
                                   channel.substr(0, 80))};
    boxes_->with_owner(channel,
                       [this, name = std::string(group)](net::shard& home, subscriber& who) {
                           members_->join(home, name, who);
                       });
    return {};
}

result<void> pubsub_layer::group_discard(std::string_view group, std::string_view channel) {
    if (auto sound = check_name("group name", group); !sound)
        return sound;
    if (!boxes_) // nothing here is a member
        return {};
    boxes_->with_owner(channel,
                       [this, name = std::string(group)](net::shard& home, subscriber& who) {
                           members_->leave(home, name, who);
                       });
    return {};
}

result<std::unique_ptr<channel_source>> pubsub_layer::receive_from(std::string_view channel) {
    if (auto sound = check_name("channel name", channel); !sound)
        return sound.error();
    if (channel.find('!') != std::string_view::npos || is_here(channel) ||
        !names_.group_of(channel).empty())
        return failure{errc::invalid,
                       fmt::format("'{}' belongs to a consumer or a group; only hand-named "
                                   "channels can be read",
                                   channel.substr(0, 80))};
    return named_.open(channel);
}

bool pubsub_layer::reaches_members(std::string_view group, std::function<void()> ready) {
    std::shared_lock held(gate_);
    return stopped_ || topics_.reached(names_.topic_of(group), std::move(ready));
}

result<void> pubsub_layer::status() const {
    std::shared_lock held(gate_);
    if (stopped_)
        return has_stopped();
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        const auto& one = *hosts_[index];
        if (!one.ready())
            return failure{errc::unavailable, fmt::format("{}: {}", one.name(), one.trouble())};
        if (const auto refusal = ears_[index]->refusal(); !refusal.empty())
            return failure{errc::unavailable, fmt::format("{}: {}", one.name(), refusal)};
    }
    return {};
}

// --- the end ---

// Subscriptions end with their connections. Who waits for one is called.
void pubsub_layer::end() {
    ears_.clear();
    sender_.end();
    for (const auto& one : hosts_)
        one->close();
    for (std::size_t index = 0; index < options_.servers.hosts.size(); ++index)
        topics_.away(index);
}

void pubsub_layer::stop(std::chrono::milliseconds) {
    {
        std::unique_lock alone(gate_);
        if (std::exchange(stopped_, true))
            return;
    }
    named_.end();
    if (!io_.running())
        return end();
    io_.run([this] { end(); });
    io_.stop();
}

} // namespace carillon::channels::redis
