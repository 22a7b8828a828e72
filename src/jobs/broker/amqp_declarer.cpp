#include "jobs/broker/amqp_declarer.hpp"

#include <utility>

namespace carillon::jobs::amqp {

namespace {

const char* name_of(step::what kind) noexcept {
    switch (kind) {
    case step::what::exchange: return "exchange";
    case step::what::bind_queue:
    case step::what::bind_exchange: return "binding";
    default: return "queue";
    }
}

step make(step::what kind, std::string name) {
    step out;
    out.kind = kind;
    out.name = std::move(name);
    return out;
}

} // namespace

step exchange_step(std::string name, std::string type, bool durable) {
    auto out = make(step::what::exchange, std::move(name));
    out.key = std::move(type);
    out.durable = durable;
    return out;
}

step queue_step(std::string name, table arguments) {
    auto out = make(step::what::queue, std::move(name));
    out.arguments = std::move(arguments);
    return out;
}

step own_queue_step(std::string name, table arguments) {
    auto out = queue_step(std::move(name), std::move(arguments));
    out.durable = false;
    out.auto_delete = true;
    return out;
}

step bind_step(std::string queue, std::string exchange, std::string key) {
    auto out = make(step::what::bind_queue, std::move(queue));
    out.source = std::move(exchange);
    out.key = std::move(key);
    return out;
}

step bind_exchange_step(std::string destination, std::string source, std::string key) {
    auto out = bind_step(std::move(destination), std::move(source), std::move(key));
    out.kind = step::what::bind_exchange;
    return out;
}

step look_step(std::string queue, std::function<void(const reply&)> heard) {
    auto out = make(step::what::look_at_queue, std::move(queue));
    out.heard = std::move(heard);
    out.optional = true;
    return out;
}

void declarer::run(std::vector<step> steps, told done) {
    batches_.push_back({std::move(steps), std::move(done)});
    if (batches_.size() == 1)
        send_from(0);
}

// All at once: one round trip. A refusal closes the channel; what followed it is sent again.
void declarer::send_from(std::size_t first) {
    const auto attempt = ++attempt_;
    const auto& steps = batches_.front().steps;
    if (first == steps.size())
        return finish({});
    for (auto i = first; i < steps.size(); ++i)
        send(steps[i], steps[i].kind == step::what::look_at_queue,
             [this, i, attempt](const reply& got) {
                 if (attempt == attempt_)
                     answered(i, got);
             });
}

void declarer::send(const step& s, bool passive, connection::told done) {
    const auto name = bytes_of(s.name);
    const auto arguments = s.arguments.get();
    if (s.kind == step::what::exchange) {
        amqp_exchange_declare_t fields{};
        fields.exchange = name;
        fields.type = bytes_of(s.key);
        fields.passive = passive;
        fields.durable = s.durable;
        fields.arguments = arguments;
        through_.call(channel_, AMQP_EXCHANGE_DECLARE_METHOD, &fields, std::move(done));
    } else if (s.kind == step::what::bind_exchange) {
        amqp_exchange_bind_t fields{};
        fields.destination = name;
        fields.source = bytes_of(s.source);
        fields.routing_key = bytes_of(s.key);
        through_.call(channel_, AMQP_EXCHANGE_BIND_METHOD, &fields, std::move(done));
    } else if (s.kind == step::what::bind_queue) {
        amqp_queue_bind_t fields{};
        fields.queue = name;
        fields.exchange = bytes_of(s.source);
        fields.routing_key = bytes_of(s.key);
        through_.call(channel_, AMQP_QUEUE_BIND_METHOD, &fields, std::move(done));
    } else {
        amqp_queue_declare_t fields{};
        fields.queue = name;
        fields.passive = passive;
        fields.durable = s.durable;
        fields.auto_delete = s.auto_delete;
        fields.arguments = arguments;
        through_.call(channel_, AMQP_QUEUE_DECLARE_METHOD, &fields, std::move(done));
    }
}

void declarer::answered(std::size_t index, const reply& got) {
    const auto& steps = batches_.front().steps;
    if (steps[index].heard)
        steps[index].heard(got);
    if (got.problem)
        return refused(index, got);
    if (index + 1 == steps.size())
        finish({});
}

void declarer::refused(std::size_t index, const reply& got) {
    ++attempt_;
    open();
    const auto& s = batches_.front().steps[index];
    if (s.kind != step::what::exchange && s.kind != step::what::queue)
        return skip(index, got);
    send(s, true, [this, index, refusal = got, attempt = attempt_](const reply& looked_at) {
        if (attempt == attempt_)
            looked(index, refusal, looked_at);
    });
}

void declarer::looked(std::size_t index, const reply& refusal, const reply& got) {
    if (got.problem) {
        open();
        return skip(index, refusal);
    }
    const auto& s = batches_.front().steps[index];
    if (said_.insert(std::string(name_of(s.kind)) + " " + s.name).second)
        log_.warning(
            "A queue or an exchange of RabbitMQ is used as it is, not as it would be declared here",
            {{name_of(s.kind), s.name}, {"why", refusal.problem->message}});
    send_from(index + 1);
}

void declarer::skip(std::size_t index, const reply& why) {
    const auto& s = batches_.front().steps[index];
    if (s.optional) {
        if (s.kind != step::what::look_at_queue &&
            said_.insert(std::string("no ") + name_of(s.kind) + " " + s.name).second)
            log_.warning("RabbitMQ does not let this be declared; going on without it",
                         {{name_of(s.kind), s.name}, {"why", why.problem->message}});
        return send_from(index + 1);
    }
    finish(failure{why.problem->code, std::string("the ") + name_of(s.kind) + " " + s.name + ": " +
                                          why.problem->message});
}

void declarer::finish(const result<void>& outcome) {
    ++attempt_;
    const auto done = std::move(batches_.front().done);
    batches_.pop_front();
    if (!batches_.empty())
        send_from(0);
    done(outcome);
}

} // namespace carillon::jobs::amqp
