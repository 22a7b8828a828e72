#include "channels/redis/core_sender.hpp"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "channels/redis/core_script.hpp"

namespace carillon::channels::redis {

namespace {

// Of one command; more queues or bytes go in several.
constexpr std::size_t queues_max = 500;
constexpr std::size_t part_bytes_max = 4u << 20;

std::int64_t seconds_of(std::int64_t micros) { return micros / 1'000'000; }

} // namespace

core_event::~core_event() {
    if (told)
        told(failure{errc::unavailable, "the channel layer has stopped"});
}

core_sender::core_sender(const redis_layer_options& options, const core_names& names,
                         const wire::layer::message_codec& codec, const hosts& on, accounts& book,
                         logger& log, layer_counters& counted)
    : options_(options), names_(names), codec_(codec), hosts_(on), book_(book), counted_(counted),
      full_(log, "channels are full and miss an event"),
      failed_(log, "the channel layer's server refuses an event"), lines_(on.size() + 1),
      lost_(on.size()), has_script_(on.size()) {}

std::int64_t core_sender::next_score() {
    const auto present = utc_now().time_since_epoch().count();
    last_score_ = std::max(present, last_score_ + 1);
    return last_score_;
}

void core_sender::send(core_event what) {
    auto one = std::make_shared<job>(std::move(what));
    one->score = next_score();
    if (one->what.to_group)
        return look_up(one);
    aim(*one);
    one->answered = true;
    line_up(one);
    advance(one->line);
}

void core_sender::line_up(const job_ptr& one) {
    const bool apart = lost_[one->needs] || !lines_[one->needs].empty();
    one->line = apart ? one->needs : hosts_.size();
    lines_[one->line].push_back(one);
}

// A channel with a '!' has its host; any host serves a hand-named one, and readers are on all of them.
void core_sender::aim(job& one) {
    const auto& name = one.what.name;
    const bool specific = name.find('!') != std::string::npos;
    const auto host = specific ? names_.host_of_queue(name) : next_host();
    one.needs = host;
    one.parts.push_back({host, {{std::string(wire::layer::non_local_name(name)), {name}}}});
}

std::size_t core_sender::next_host() {
    for (std::size_t tried = 0; tried < hosts_.size(); ++tried) {
        const auto host = turn_++ % hosts_.size();
        if (hosts_[host]->ready())
            return host;
    }
    return turn_++ % hosts_.size();
}

void core_sender::look_up(const job_ptr& one) {
    one->needs = names_.host_of_group(one->what.name);
    auto& asked = *hosts_[one->needs];
    line_up(one);
    const auto key = names_.group_key(one->what.name);
    const auto expired = seconds_of(one->score) - options_.common.group_expiry.count();
    wire::redis::command purge("ZREMRANGEBYSCORE");
    purge.add(key).add("0").add(expired);
    wire::redis::command members("ZRANGE");
    members.add(key).add("0").add("-1");
    asked.put({made(std::move(purge)), [](const order_end&) {}, true, 0, one->what.expires, true});
    asked.put({made(std::move(members)),
               [this, one](const order_end& end) { on_members(one, end); }, true, 1,
               one->what.expires, true});
}

void core_sender::on_members(const job_ptr& one, const order_end& end) {
    if (end.what != order_end::how::answered)
        one->why = end.why;
    else if (end.answer.kind == wire::redis::reply::what::list)
        sort_members(*one, end.answer);
    else
        refuse(*one, end.answer.text);
    one->answered = true;
    advance(one->line);
}

void core_sender::sort_members(job& one, const wire::redis::reply& members) const {
    std::unordered_map<std::string_view, std::pair<std::size_t, std::size_t>> places;
    std::vector<std::size_t> part_of(hosts_.size(), SIZE_MAX), bytes_of(hosts_.size());
    const auto message_bytes = one.what.packed.size_bytes() + 128;
    for (const auto& member : members.items) {
        const auto queue = wire::layer::non_local_name(member.text);
        if (const auto known = places.find(queue); known != places.end()) {
            one.parts[known->second.first].buckets[known->second.second].names.push_back(
                member.text);
            continue;
        }
        const auto host = names_.host_of_queue(queue);
        auto& place = part_of[host];
        if (place == SIZE_MAX || one.parts[place].buckets.size() >= queues_max ||
            bytes_of[host] + message_bytes > part_bytes_max) {
            place = one.parts.size();
            bytes_of[host] = 0;
            one.needs = host;
            one.parts.push_back({host, {}});
        }
        bytes_of[host] += message_bytes;
        auto& buckets = one.parts[place].buckets;
        places.emplace(queue, std::pair(place, buckets.size()));
        buckets.push_back({std::string(queue), {member.text}});
        ++one.outcome.queues;
    }
}

void core_sender::advance(std::size_t line) {
    auto& waiting = lines_[line];
    while (!waiting.empty() && waiting.front()->answered) {
        const auto next = std::move(waiting.front());
        waiting.pop_front();
        write(next);
    }
}

void core_sender::on_lost(const host& of) {
    has_script_[of.index()] = false;
    lost_[of.index()] = true;
    auto& all = lines_.back();
    auto& apart = lines_[of.index()];
    std::erase_if(all, [&](const job_ptr& one) {
        const bool stays = one->needs != of.index() || (one->answered && one->what.to_group);
        if (!stays) {
            one->line = of.index();
            apart.push_back(one);
        }
        return !stays;
    });
    advance(hosts_.size());
}

void core_sender::write(const job_ptr& one) {
    if (one->parts.empty() || one->why)
        return finish(*one);
    one->parts_left = one->parts.size();
    for (std::size_t index = 0; index < one->parts.size(); ++index)
        put_part(one, index);
}

void core_sender::put_part(const job_ptr& one, std::size_t index) {
    hosts_[one->parts[index].host]->put(
        {[this, one, index] { return write_command(*one, one->parts[index]); },
         [this, one, index](const order_end& end) { on_written(one, index, end); }, false, 1,
         one->what.expires});
}

wire::redis::command core_sender::write_command(const job& one, const part& to) const {
    using addressing = wire::layer::message_codec::addressing;
    std::vector<queue_write> writes;
    writes.reserve(to.buckets.size());
    for (const auto& queue : to.buckets) {
        const std::vector<std::string_view> names(queue.names.begin(), queue.names.end());
        auto how = addressing::list;
        if (!one.what.to_group)
            how = queue.queue.ends_with('!') ? addressing::one : addressing::none;
        writes.push_back({names_.queue_key(queue.queue), codec_.encode(one.what.packed, how, names),
                          capacity_of(options_, names.front())});
    }
    const auto expiry = options_.common.expiry.count();
    const std::string_view script = has_script_[to.host] ? script_name_ : std::string_view();
    return deliver_command(script, writes, score_text(one.score), seconds_of(one.score) - expiry,
                           expiry);
}

void core_sender::on_written(const job_ptr& one, std::size_t index, const order_end& end) {
    const auto host = one->parts[index].host;
    if (end.what != order_end::how::answered) {
        one->why = end.why;
        one->sent = one->sent || end.what == order_end::how::unconfirmed;
    } else if (end.answer.error_code() == "NOSCRIPT") { // somebody flushed the server's scripts
        has_script_[host] = false;
        return put_part(one, index);
    } else if (end.answer.items.size() == 2) {
        has_script_[host] = !script_name_.empty();
        one->outcome.full += static_cast<std::uint32_t>(end.answer.items[0].number);
        if (end.answer.items[1].number > 0)
            refuse(*one, "the key of a queue holds something else");
    } else {
        refuse(*one, end.answer.text);
    }
    if (--one->parts_left == 0)
        finish(*one);
}

void core_sender::refuse(job& one, std::string why) {
    failed_.warn(why, one.what.name);
    one.why = failure{errc::unavailable, std::move(why)};
}

void core_sender::finish(job& one) {
    const auto full = one.outcome.full;
    if (full > 0) {
        counted_.capacity.add(full);
        full_.warn(one.what.to_group ? "group" : "channel", one.what.name, full);
    }
    if (one.why) {
        (one.sent ? counted_.unconfirmed : counted_.unavailable).add();
        book_.lost();
    } else if (!one.what.to_group) {
        one.outcome.queues = 1;
        if (full > 0)
            one.why = failure{errc::channel_full, fmt::format("channel {} is full", one.what.name)};
    }
    one.what.place.reset();
    if (auto told = std::exchange(one.what.told, nullptr))
        one.why ? told(*one.why) : told(one.outcome);
}

void core_sender::load_script(host& of) {
    wire::redis::command load("SCRIPT");
    load.add("LOAD").add(deliver_script);
    of.send_now(load, [this, index = of.index()](result<wire::redis::reply> answer) {
        if (!answer || answer->kind != wire::redis::reply::what::text)
            return; // it is sent with each event then
        script_name_ = answer->text;
        has_script_[index] = true;
    });
}

} // namespace carillon::channels::redis
