#include "jobs/broker/amqp_topology.hpp"

#include <utility>

#include "wire/celery/control.hpp"

namespace carillon::jobs::amqp {

namespace {

constexpr int top_level = 27;
constexpr std::string_view delivery_exchange = "celery_delayed_delivery";
constexpr std::int64_t control_queue_life_ms = 10'000;
constexpr std::int64_t control_message_life_ms = 300'000;
constexpr std::int64_t reply_queue_life_ms = 86'400'000;

std::string level_name(int level) {
    return level < 0 ? std::string(delivery_exchange) : "celery_delayed_" + std::to_string(level);
}

// As many stars as bits were looked at before this level.
std::string level_key(int level, std::string_view bit) {
    std::string out;
    for (int above = top_level; above > level; --above)
        out += "*.";
    out += bit;
    return out += ".#";
}

} // namespace

std::vector<step> task_queue_steps(const std::string& queue, const queue_shape& shape) {
    table arguments;
    if (shape.quorum)
        arguments.add({"x-queue-type", "quorum"});
    else if (shape.priority_max)
        arguments.add({"x-max-priority", std::int64_t{*shape.priority_max}});
    auto exchange = exchange_step(queue, "direct");
    auto binding = bind_step(queue, queue, queue);
    exchange.optional = binding.optional = true;
    std::vector<step> out;
    out.push_back(queue_step(queue, std::move(arguments)));
    out.push_back(std::move(exchange));
    out.push_back(std::move(binding));
    return out;
}

std::vector<step> exchange_steps() {
    std::vector<step> out;
    out.push_back(exchange_step("celeryev", "topic"));
    out.push_back(exchange_step(std::string(wire::celery::pidbox_exchange), "fanout", false));
    out.push_back(exchange_step(std::string(wire::celery::pidbox_reply_exchange), "direct", false));
    for (auto& one : out)
        one.optional = true;
    return out;
}

std::string control_queue_name(std::string_view node) {
    return std::string(node) + "." + std::string(wire::celery::pidbox_exchange);
}

std::vector<step> control_steps(std::string_view node) {
    const auto queue = control_queue_name(node);
    std::vector<step> out;
    out.push_back(own_queue_step(
        queue, {{"x-expires", control_queue_life_ms}, {"x-message-ttl", control_message_life_ms}}));
    out.push_back(bind_step(queue, std::string(wire::celery::pidbox_exchange), ""));
    return out;
}

std::vector<step> reply_steps(const std::string& queue) {
    std::vector<step> out;
    out.push_back(own_queue_step(queue, {{"x-expires", reply_queue_life_ms}}));
    out.push_back(bind_step(queue, std::string(wire::celery::pidbox_reply_exchange), queue));
    out.back().optional = true; // replies of remote control only
    return out;
}

std::vector<step> delayed_delivery_steps(bool quorum) {
    std::vector<step> out;
    out.push_back(exchange_step(std::string(delivery_exchange), "topic"));
    for (int level = 0; level <= top_level; ++level) {
        const auto name = level_name(level);
        const auto next = level_name(level - 1);
        table arguments{{"x-queue-type", quorum ? "quorum" : "classic"},
                        {"x-overflow", "reject-publish"},
                        {"x-message-ttl", (std::int64_t{1} << level) * 1000},
                        {"x-dead-letter-exchange", next}};
        if (quorum)
            arguments.add({"x-dead-letter-strategy", "at-least-once"});
        out.push_back(exchange_step(name, "topic"));
        out.push_back(queue_step(name, std::move(arguments)));
        out.push_back(bind_step(name, name, level_key(level, "1")));
        out.push_back(bind_exchange_step(next, name, level_key(level, "0")));
    }
    return out;
}

step delayed_binding_step(const std::string& queue) {
    std::string key;
    for (int level = 0; level <= top_level; ++level)
        key += "*.";
    return bind_step(queue, std::string(delivery_exchange), key + queue);
}

std::string delayed_routing_key(std::chrono::seconds delay, std::string_view queue) {
    std::string out;
    for (int level = top_level; level >= 0; --level)
        out += (delay.count() >> level) & 1 ? "1." : "0.";
    return out += queue;
}

} // namespace carillon::jobs::amqp
