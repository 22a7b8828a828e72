#include "jobs/broker/amqp_receiver.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "jobs/broker/amqp_fields.hpp"

namespace carillon::jobs::amqp {

namespace {

constexpr std::uint16_t task_channel = 1;
constexpr std::uint16_t control_channel_number = 2;
constexpr std::uint32_t prefetch_max = 65'535; // of the protocol

} // namespace

receiver::receiver(net::loop& on, const queue_shape& shape, receiver_owner& owner, logger& log,
                   counters& counted)
    : loop_(on), shape_(shape), owner_(owner), log_(log), counted_(counted), control_(*this) {}

// --- the connection

void receiver::attach(connection& through, declarer& declares) {
    through_ = &through;
    declares_ = &declares;
    consumers_.clear();
    base_ = first_ - 1;
    others_starting_ = 0;
    beginning_ = 0;
    change_due_ = false;
    channel_events& me = *this;
    through_->open_channel(task_channel, me);
    through_->open_channel(control_channel_number, control_);
    if (!node_.empty())
        start_other(kind::control, control_steps(node_), control_queue_name(node_), nullptr);
    if (!reply_queue_.empty())
        start_other(kind::reply, reply_steps(reply_queue_), reply_queue_, nullptr);
    restart_tasks();
}

void receiver::leave() noexcept {
    through_ = nullptr;
    declares_ = nullptr;
    ++version_;
    delivering_ = false;
    first_ += held_.size();
    held_.clear();
    acked_.clear();
    early_.clear();
}

void receiver::begin_delivering() {
    delivering_ = true;
    for (auto& one : std::exchange(early_, {}))
        hand_over(std::move(one));
}

void receiver::on_channel_closed(const failure& why) noexcept { owner_.on_broken(why); }

// --- consumers

void receiver::consume(std::vector<std::string> queues, std::uint32_t prefetch) {
    queues_ = std::move(queues);
    std::sort(queues_.begin(), queues_.end());
    queues_.erase(std::unique(queues_.begin(), queues_.end()), queues_.end());
    prefetch_ = std::min(prefetch, prefetch_max);
    has_consumed_ |= prefetch_ > 0 && !queues_.empty();
    if (!through_)
        return;
    owner_.on_not_consuming("the queues to consume were changed just now");
    change_tasks();
}

// RabbitMQ breaks the channel when a consumer is cancelled before it has told that it began.
void receiver::change_tasks() {
    change_due_ = beginning_ > 0;
    if (change_due_)
        return;
    stop_tasks();
    restart_tasks();
}

void receiver::restart_tasks() {
    const auto version = ++version_;
    tasks_starting_ = 1;
    std::vector<step> steps;
    for (const auto& queue : queues_)
        for (auto& one : task_queue_steps(queue, shape_))
            steps.push_back(std::move(one));
    declares_->run(std::move(steps), [this, version](const result<void>& outcome) {
        if (version != version_)
            return;
        if (!outcome)
            return owner_.on_broken(outcome.error());
        start_tasks();
    });
}

void receiver::stop_tasks() {
    for (std::size_t i = 0; i < consumers_.size(); ++i) {
        if (consumers_[i].what != kind::task || !std::exchange(consumers_[i].active, false))
            continue;
        const auto tag = std::to_string(i);
        amqp_basic_cancel_t fields{};
        fields.consumer_tag = bytes_of(tag);
        through_->call(task_channel, AMQP_BASIC_CANCEL_METHOD, &fields, [](const reply&) {});
    }
}

// The limit holds for each consumer that starts after it was set; RabbitMQ shares none between the consumers of quorum
// queues. No prefetch is no limit to the protocol, but here it is nothing to be delivered.
void receiver::start_tasks() {
    if (prefetch_ > 0 && !queues_.empty()) {
        amqp_basic_qos_t limit{};
        limit.prefetch_count = static_cast<std::uint16_t>(prefetch_);
        through_->call(task_channel, AMQP_BASIC_QOS_METHOD, &limit, [](const reply&) {});
        for (const auto& queue : queues_) {
            ++tasks_starting_;
            start_task(queue);
        }
    }
    started(tasks_starting_);
}

void receiver::start_task(const std::string& queue) {
    ++beginning_;
    start(kind::task, queue, [this, version = version_](const reply& got) {
        --beginning_;
        if (got.problem)
            return;
        if (beginning_ == 0 && change_due_)
            return change_tasks();
        if (version == version_)
            started(tasks_starting_);
    });
}

void receiver::start(kind what, const std::string& queue, connection::told done) {
    const auto tag = std::to_string(consumers_.size());
    consumers_.push_back({what, queue});
    amqp_basic_consume_t fields{};
    fields.queue = bytes_of(queue);
    fields.consumer_tag = bytes_of(tag);
    fields.no_ack = what != kind::task;
    through_->call(what == kind::task ? task_channel : control_channel_number,
                   AMQP_BASIC_CONSUME_METHOD, &fields, std::move(done));
}

void receiver::started(std::size_t& of) {
    --of;
    if (tasks_starting_ == 0 && others_starting_ == 0)
        owner_.on_consuming();
}

void receiver::start_other(kind what, std::vector<step> steps, std::string queue,
                           std::function<void()> then) {
    ++others_starting_;
    declares_->run(std::move(steps), [this, what, queue = std::move(queue),
                                      then = std::move(then)](const result<void>& outcome) {
        if (!outcome)
            return owner_.on_broken(outcome.error());
        start(what, queue, [this, then](const reply& got) {
            if (got.problem)
                return;
            if (then)
                then();
            started(others_starting_);
        });
    });
}

void receiver::listen_to_control(std::string node) {
    node_ = std::move(node);
    if (through_)
        start_other(kind::control, control_steps(node_), control_queue_name(node_), nullptr);
}

void receiver::take_replies(std::string queue, std::function<void()> declared) {
    reply_queue_ = std::move(queue);
    if (through_)
        start_other(kind::reply, reply_steps(reply_queue_), reply_queue_, std::move(declared));
}

receiver::consumer* receiver::find(std::string_view consumer_tag) noexcept {
    std::size_t index = 0;
    const auto* last = consumer_tag.data() + consumer_tag.size();
    const auto [end, problem] = std::from_chars(consumer_tag.data(), last, index);
    const bool good = problem == std::errc() && end == last && index < consumers_.size();
    return good ? &consumers_[index] : nullptr;
}

// The queue was deleted, or its node is gone: it is made again and consumed.
void receiver::on_cancelled(std::string_view consumer_tag) noexcept {
    auto* gone = find(consumer_tag);
    if (!gone || !std::exchange(gone->active, false) || ended_)
        return;
    log_.warning("RabbitMQ ended a consumer; its queue is declared again and consumed",
                 {{"queue", gone->queue}});
    if (gone->what == kind::control)
        return start_other(kind::control, control_steps(node_), gone->queue, nullptr);
    if (gone->what == kind::reply)
        return start_other(kind::reply, reply_steps(gone->queue), gone->queue, nullptr);
    owner_.on_not_consuming("the queue " + gone->queue + " was deleted");
    ++tasks_starting_;
    declares_->run(task_queue_steps(gone->queue, shape_),
                   [this, queue = gone->queue, version = version_](const result<void>& outcome) {
                       if (version != version_)
                           return;
                       if (!outcome)
                           return owner_.on_broken(outcome.error());
                       start_task(queue);
                   });
}

// --- deliveries

void receiver::on_content(content got) noexcept {
    const auto* from = find(got.consumer_tag);
    if (got.returned || !from || !events_ || ended_)
        return;
    if (from->what == kind::task)
        take_task(*from, std::move(got));
    else
        take_other(from->what, std::move(got));
}

void receiver::take_task(const consumer& from, content got) {
    counted_.received.add();
    // tags of a channel follow each other
    if (base_ + got.delivery_tag != first_ + held_.size())
        return owner_.on_broken({errc::corrupt, "RabbitMQ left out a delivery tag"});
    delivery out;
    out.tag = base_ + got.delivery_tag;
    if (got.body.size() != got.body_bytes) {
        log_.error("A message is larger than this process takes; it is rejected",
                   {{"queue", from.queue}, {"bytes", got.body_bytes}});
        held_.push_back({});
        return reject(out.tag, false);
    }
    out.queue = from.queue;
    out.exchange = std::move(got.exchange);
    out.routing_key = std::move(got.routing_key);
    out.redelivered = got.redelivered;
    // unreadable headers are left out: whoever decodes the message refuses it
    if (!read_properties(got.properties, out.parts))
        out.parts.headers = {};
    held_.push_back({from.queue, std::move(got.properties), got.body});
    out.parts.body = std::move(got.body);
    if (delivering_)
        hand_over(std::move(out));
    else
        early_.push_back(std::move(out));
}

void receiver::hand_over(delivery received) { events_->on_delivery(std::move(received)); }

void receiver::take_other(kind what, content got) {
    if (got.body.size() != got.body_bytes)
        return counted_.dropped.add();
    wire::celery::message_parts parts;
    if (!read_properties(got.properties, parts))
        parts.headers = {};
    parts.body = std::move(got.body);
    if (what == kind::control)
        events_->on_control(std::move(parts));
    else
        events_->on_reply(std::move(parts));
}

// --- acknowledgements

receiver::held* receiver::find(std::uint64_t tag) noexcept {
    if (tag < first_ || tag - first_ >= held_.size())
        return nullptr;
    auto& one = held_[static_cast<std::size_t>(tag - first_)];
    return one.settled ? nullptr : &one;
}

void receiver::drop_settled() {
    while (!held_.empty() && held_.front().settled) {
        held_.pop_front();
        ++first_;
    }
}

void receiver::ack(std::uint64_t tag) {
    auto* one = find(tag);
    if (!one)
        return; // void, or spent
    counted_.settled.add();
    *one = held{};
    one->settled = true;
    if (acked_.empty())
        loop_.defer([this] { flush(); });
    acked_.push_back(tag);
}

void receiver::reject(std::uint64_t tag, bool requeue) {
    auto* one = find(tag);
    if (!one || !through_)
        return;
    counted_.settled.add();
    *one = held{};
    one->settled = true;
    amqp_basic_reject_t fields{};
    fields.delivery_tag = tag - base_;
    fields.requeue = requeue;
    through_->send(task_channel, AMQP_BASIC_REJECT_METHOD, &fields);
    if (acked_.empty())
        drop_settled();
}

// One acknowledgement for the longest run from the oldest on, one for each of the others.
void receiver::flush() {
    if (acked_.empty() || !through_)
        return;
    std::sort(acked_.begin(), acked_.end());
    drop_settled();
    const auto run_end = std::lower_bound(acked_.begin(), acked_.end(), first_);
    const auto run = run_end - acked_.begin();
    const auto send = [this](std::uint64_t tag, bool multiple) {
        amqp_basic_ack_t fields{};
        fields.delivery_tag = tag - base_;
        fields.multiple = multiple;
        through_->send(task_channel, AMQP_BASIC_ACK_METHOD, &fields);
    };
    // the last one is not settled at the server yet, or it would refuse the number
    if (run > 0)
        send(*(run_end - 1), run > 1);
    for (auto one = run_end; one != acked_.end(); ++one)
        send(*one, false);
    acked_.clear();
}

std::optional<receiver::held_copy> receiver::copy(std::uint64_t tag) {
    const auto* one = find(tag);
    if (!one)
        return std::nullopt;
    held_copy out;
    out.queue = one->queue;
    if (!read_properties(one->properties, out.parts))
        return std::nullopt;
    out.parts.body = one->body;
    return out;
}

} // namespace carillon::jobs::amqp
