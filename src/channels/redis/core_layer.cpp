#include "channels/redis/core_layer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "channels/redis/core_script.hpp"

namespace carillon::channels::redis {

namespace {

wire::layer::codec_options wire_of(const redis_layer_options& options) {
    auto codec = options.codec;
    codec.age_max = options.common.expiry + std::chrono::seconds(10);
    return codec;
}

result<void> check_group(std::string_view group) {
    if (is_group_name(group))
        return {};
    return failure{errc::invalid,
                   fmt::format("'{}' is no group name: 1 to {} ASCII letters, digits, - _ .",
                               group.substr(0, 40), channel_name_chars_max)};
}

result<void> check_channel(std::string_view channel) {
    if (is_channel_name(channel))
        return {};
    return failure{
        errc::invalid,
        fmt::format("'{}' is no channel name: 1 to {} ASCII letters, digits, - _ . and one !",
                    channel.substr(0, 40), channel_name_chars_max)};
}

failure stopped() { return {errc::unavailable, "the channel layer has stopped"}; }

} // namespace

core_layer::core_layer(redis_layer_options options, hub* members, mailboxes* boxes, logger& log,
                       metrics& counted)
    : options_(std::move(options)), members_(members), boxes_(boxes), log_(log),
      names_(options_.common.prefix, boxes ? boxes->process() : std::string(),
             options_.servers.hosts.size()),
      codec_(wire_of(options_)), counted_(counted),
      undelivered_(counted.add(
          metric_kind::gauge, "carillon_layer_undelivered",
          "Events taken from the layer's servers that the shards have not handled yet")),
      book_(options_.unconfirmed_events_max, options_.unconfirmed_bytes_max, counted_.waiting),
      groups_(
          options_.servers.hosts.size(),
          [this](std::string_view group) { return names_.host_of_group(group); },
          [this](std::size_t index) {
              io_.events().post([this, index] { membership_.pump(index); });
          }),
      hosts_(make_hosts()), membership_(options_, names_, groups_, hosts_, io_.events(), log),
      sender_(options_, names_, codec_, hosts_, book_, log, counted_),
      allowance_(
          options_.undelivered_events_max, [this] { io_.events().post([this] { read_all(); }); },
          undelivered_),
      outage_(options_.servers.hosts.size()) {
    if (!members_)
        return;
    inbound_.emplace(options_, names_, codec_, membership_, *members_, *boxes_, log, counted_);
    for (std::size_t index = 0; index < hosts_.size(); ++index)
        make_reader(index);
    members_->watch(groups_);
}

core_layer::~core_layer() { stop(std::chrono::seconds(1)); }

core_sender::hosts core_layer::make_hosts() {
    core_sender::hosts made;
    for (const auto& where : options_.servers.hosts) {
        const auto of = host_options::of(options_, made.size());
        made.push_back(std::make_unique<host>(io_.events(), where, of,
                                              static_cast<host_events&>(*this), log_, counted_));
    }
    return made;
}

void core_layer::start() {
    io_.events().post([this] {
        for (const auto& one : hosts_)
            one->start();
        for (const auto& one : readers_)
            one->start();
        membership_.renew_later();
    });
    io_.start();
}

void core_layer::make_reader(std::size_t index) {
    core_reader::handlers tell;
    tell.take = [this](std::string_view message, const std::shared_ptr<void>& credit) {
        inbound_->take(message, credit);
    };
    tell.delivered = [this] { return members_->delivered(); };
    tell.up = [this, index] {
        if (hosts_[index]->ready())
            readers_[index]->read();
        tell_of_gap(index);
    };
    tell.lost = [this, index] { outage_[index] = true; };
    readers_.push_back(std::make_unique<core_reader>(io_.events(), options_.servers.hosts[index],
                                                     names_.queue_key(names_.own()), allowance_,
                                                     std::move(tell), log_, counted_));
}

void core_layer::read_all() {
    for (std::size_t index = 0; index < readers_.size(); ++index)
        if (hosts_[index]->ready())
            readers_[index]->read();
}

void core_layer::on_restore(host& of) noexcept {
    sender_.load_script(of);
    membership_.restore(of);
}

void core_layer::on_ready(host& of) noexcept {
    if (!readers_.empty())
        readers_[of.index()]->read();
    tell_of_gap(of.index());
}

void core_layer::on_lost(host& of) noexcept {
    outage_[of.index()] = true;
    sender_.on_lost(of);
    membership_.on_lost(of);
}

void core_layer::tell_of_gap(std::size_t index) {
    if (readers_.empty() || !outage_[index] || !hosts_[index]->ready() || !readers_[index]->up())
        return;
    outage_[index] = false;
    counted_.gaps.add();
    members_->tell_everybody(event(std::string(gap_event_type), {}));
}

// --- from any thread ---

result<void> core_layer::submit(bool to_group, std::string_view name, const event& e,
                                delivery_told& told) {
    if (auto sound = to_group ? check_group(name) : check_channel(name); !sound)
        return sound;
    if (is_reserved_event_type(e.type()))
        return failure{errc::invalid, fmt::format("the event type '{}' is reserved", e.type())};
    auto packed = wire::layer::packed_event::pack(e.type(), e.members(), codec_.format());
    if (!packed)
        return packed.error();
    if (stopped_)
        return stopped();
    const bool placed = to_group || name.find('!') != std::string_view::npos;
    const auto index = to_group ? names_.host_of_group(name) : names_.host_of_queue(name);
    if (placed && hosts_[index]->refuses()) {
        counted_.unavailable.add();
        return failure{errc::unavailable,
                       fmt::format("{}: {}", hosts_[index]->name(), hosts_[index]->trouble())};
    }
    const auto bytes = packed->size_bytes() + name.size();
    auto place = book_.accept(bytes);
    if (!place) {
        counted_.unavailable.add();
        return failure{errc::unavailable, "too many events wait for the channel layer's server"};
    }
    core_event what(*std::move(packed), *std::move(place));
    what.name = name;
    what.to_group = to_group;
    what.told = std::move(told);
    what.expires = now() + options_.send_timeout;
    io_.events().post([this, what = std::move(what)]() mutable { sender_.send(std::move(what)); });
    return {};
}

result<void> core_layer::group_send(std::string_view group, event e) {
    delivery_told nobody;
    return submit(true, group, e, nobody);
}

result<void> core_layer::send(std::string_view channel, event e) {
    delivery_told nobody;
    if (names_.is_own(channel) && is_channel_name(channel) && !is_reserved_event_type(e.type()))
        return boxes_->send(channel, e);
    return submit(false, channel, e, nobody);
}

void core_layer::group_send_confirmed(std::string_view group, event e, delivery_told told) {
    if (const auto sent = submit(true, group, e, told); !sent)
        told(sent.error());
}

void core_layer::send_confirmed(std::string_view channel, event e, delivery_told told) {
    if (names_.is_own(channel))
        return channel_layer::send_confirmed(channel, std::move(e), std::move(told));
    if (const auto sent = submit(false, channel, e, told); !sent)
        told(sent.error());
}

result<void> core_layer::group_add(std::string_view group, std::string_view channel) {
    if (auto sound = check_group(group); !sound)
        return sound;
    if (!names_.is_own(channel) || !is_channel_name(channel))
        return change_foreign(true, group, channel);
    boxes_->with_owner(channel,
                       [this, name = std::string(group)](net::shard& home, subscriber& who) {
                           members_->join(home, name, who);
                       });
    return {};
}

result<void> core_layer::group_discard(std::string_view group, std::string_view channel) {
    if (auto sound = check_group(group); !sound)
        return sound;
    if (!names_.is_own(channel) || !is_channel_name(channel))
        return change_foreign(false, group, channel);
    boxes_->with_owner(channel,
                       [this, name = std::string(group)](net::shard& home, subscriber& who) {
                           members_->leave(home, name, who);
                       });
    return {};
}

// Channels of other processes, and hand-named ones, are members by their own names.
result<void> core_layer::change_foreign(bool add, std::string_view group,
                                        std::string_view channel) {
    if (auto sound = check_channel(channel); !sound)
        return sound;
    if (stopped_)
        return stopped();
    const auto index = names_.host_of_group(group);
    if (hosts_[index]->refuses())
        return failure{errc::unavailable,
                       fmt::format("{}: {}", hosts_[index]->name(), hosts_[index]->trouble())};
    io_.events().post(
        [this, add, group = std::string(group), channel = std::string(channel),
         expires = now() + options_.send_timeout] { put_foreign(add, group, channel, expires); });
    return {};
}

void core_layer::put_foreign(bool add, const std::string& group, const std::string& channel,
                             steady_time expires) {
    auto& of = *hosts_[names_.host_of_group(group)];
    const auto key = names_.group_key(group);
    const auto nobody = [](const order_end&) {};
    if (!add)
        return of.put({made({"ZREM", key, channel}), nobody, true, 0, expires, true});
    const auto score = score_text(utc_now().time_since_epoch().count());
    of.put({made({"ZADD", key, score, channel}), nobody, true, 0, expires, true});
    wire::redis::command expire{"EXPIRE", key};
    expire.add(options_.common.group_expiry.count());
    of.put({made(std::move(expire)), nobody, true, 0, expires, true});
}

result<std::unique_ptr<channel_source>> core_layer::receive_from(std::string_view channel) {
    if (auto sound = check_channel(channel); !sound)
        return sound.error();
    if (channel.find('!') != std::string_view::npos)
        return failure{
            errc::invalid,
            fmt::format("'{}' belongs to one consumer; only hand-named channels can be read",
                        channel)};
    if (stopped_)
        return stopped();
    auto intake = std::make_shared<core_intake>(names_.queue_key(channel), codec_,
                                                options_.message_bytes_max, log_, counted_);
    io_.events().post([this, intake] {
        if (stopped_)
            return intake->interrupt();
        std::erase_if(intakes_, [](const auto& one) { return one.expired(); });
        intakes_.push_back(intake);
        intake->start(io_.events(), options_.servers.hosts, hosts_);
    });
    return std::unique_ptr<channel_source>(
        std::make_unique<core_source>(intake, [this](std::function<void()> work) {
            if (!stopped_)
                io_.events().post(std::move(work));
        }));
}

bool core_layer::reaches_members(std::string_view group, std::function<void()> ready) {
    return stopped_ || groups_.reached(group, std::move(ready));
}

result<void> core_layer::status() const {
    if (stopped_)
        return stopped();
    for (const auto& one : hosts_)
        if (!one->ready())
            return failure{errc::unavailable, fmt::format("{}: {}", one->name(), one->trouble())};
    return {};
}

// --- the end ---

// What this process has in Redis is removed where that is reachable. `done` is kept until all of it was answered.
void core_layer::give_up(const std::shared_ptr<std::promise<void>>& done) {
    membership_.end(); // a host that comes up from now on would look for its reader
    readers_.clear();
    for (const auto& one : std::exchange(intakes_, {}))
        if (const auto intake = one.lock())
            intake->close();
    const std::shared_ptr<void> last(nullptr, [done](void*) { done->set_value(); });
    const auto answered = [last](const result<wire::redis::reply>&) {};
    for (const auto& of : hosts_) {
        if (!of->connected() || names_.own().empty()) // also when memberships are under way
            continue;
        for (const auto& group : groups_.known(of->index()))
            of->send_now({"ZREM", names_.group_key(group), names_.entry_of(group)}, answered);
        of->send_now({"DEL", names_.queue_key(names_.own())}, answered);
    }
}

void core_layer::stop(std::chrono::milliseconds patience) {
    if (stopped_.exchange(true) || !io_.running())
        return;
    const auto done = std::make_shared<std::promise<void>>();
    auto given_up = done->get_future();
    io_.run([&] { give_up(done); });
    given_up.wait_for(patience);
    io_.run([&] {
        for (const auto& of : hosts_)
            of->close();
        for (std::size_t index = 0; index < hosts_.size(); ++index)
            groups_.away(index);
    });
    io_.stop();
}

} // namespace carillon::channels::redis
