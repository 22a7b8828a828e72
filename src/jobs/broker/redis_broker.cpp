#include "jobs/broker/redis_broker.hpp"

#include <charconv>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "base/uuid.hpp"
#include "jobs/broker/redis_incoming.hpp"
#include "jobs/broker/redis_listener.hpp"
#include "jobs/broker/redis_outgoing.hpp"
#include "jobs/broker/redis_replies.hpp"
#include "jobs/broker/redis_upkeep.hpp"
#include "net/io_thread.hpp"
#include "wire/celery/parts.hpp"

namespace carillon::jobs {

namespace redis {

namespace celery = wire::celery;
using wire::redis::command;
using wire::redis::reply;

namespace {

constexpr std::chrono::milliseconds farewell_max{3'000};
constexpr std::chrono::milliseconds replies_farewell_max{1'000};
constexpr std::chrono::milliseconds sender_farewell_max{250}; // of one that never took a message
// Replies to somebody who has gone are forgotten after that many seconds.
constexpr std::string_view reply_seconds = "3600";
// Above, what may be lost is.
constexpr std::size_t emitted_bytes_max = 32u << 20;
constexpr std::string_view control_exchange = "celery.pidbox";

net::redis::client_options connection_of(const broker_options& options, std::string role,
                                         bool secondary = false) {
    net::redis::client_options out;
    out.role = std::move(role);
    out.secondary = secondary;
    out.connect_timeout = options.connect_timeout;
    out.backoff_first = options.backoff_first;
    out.backoff_max = options.backoff_max;
    return out;
}

// The sum of what HMGET gave, where a list without delayed messages has none.
std::uint64_t delayed_in(const reply& counts) {
    std::uint64_t sum = 0;
    for (const auto& each : counts.items) {
        std::uint64_t one = 0;
        std::from_chars(each.text.data(), each.text.data() + each.text.size(), one);
        sum += one;
    }
    return sum;
}

incoming::counters counters_of(metrics& counted) {
    const auto made = [&](const char* name, const char* help) -> counter& {
        return counted.add(metric_kind::counter, name, help);
    };
    return {made("carillon_redis_broker_received_total", "Messages taken from the broker."),
            made("carillon_redis_broker_acknowledged_total", "Messages acknowledged or rejected."),
            made("carillon_redis_broker_redelivered_total",
                 "Messages taken that had been delivered before."),
            made("carillon_redis_broker_unreadable_total",
                 "Messages dropped since nobody can read them.")};
}

class redis_broker final : public broker,
                           private net::redis::client_events,
                           private listener_events {
public:
    redis_broker(const broker_options& options, net::redis::address where, logger& log,
                 metrics& counted)
        : options_(options), name_(where.name()), keys_(options_, where.database), log_(log),
          connections_(counted), received_(counters_of(counted)),
          published_(counted.add(metric_kind::counter, "carillon_redis_broker_published_total",
                                 "Messages that the broker has confirmed.")),
          dropped_(counted.add(metric_kind::counter, "carillon_redis_broker_dropped_total",
                               "Events and control requests lost while Redis was away, and "
                               "results for whoever waits for them above the number that is "
                               "kept.")),
          restored_(counted.add(metric_kind::counter, "carillon_redis_broker_restored_total",
                                "Messages put back for others, or for later.")),
          client_(std::in_place, thread_.events(), where, connection_of(options, "jobs"),
                  static_cast<net::redis::client_events&>(*this), log, connections_),
          listener_(std::in_place, thread_.events(), where,
                    connection_of(options, "job events", true),
                    static_cast<listener_events&>(*this), log, connections_) {}
    ~redis_broker() override;

    void start(broker_events& events) override;
    void leave() override {
        if (thread_.running())
            farewell();
    }
    void publish(std::string queue, celery::message_parts parts, told done) override;
    void publish_at(utc_time when, std::string queue, celery::message_parts parts,
                    told done) override;
    void emit(std::string exchange, std::string routing_key, celery::message_parts parts) override;
    void consume(std::vector<std::string> queues, std::uint32_t prefetch) override;
    void ack(std::uint64_t tag) override {
        post([this, tag] { parts_->in.ack(tag); });
    }
    void reject(std::uint64_t tag, bool requeue) override {
        post([this, tag, requeue] { parts_->in.reject(tag, requeue); });
    }
    void delay(std::uint64_t tag, utc_time until) override {
        post([this, tag, until] {
            parts_->in.delay(tag, until);
            parts_->keep.expect(until);
        });
    }
    void touch(std::vector<std::uint64_t> tags) override {
        post([this, tags = std::move(tags)] { parts_->in.touch(tags); });
    }
    void listen_to_control(std::string node) override;
    std::string reply_queue() override;
    void depths(std::vector<std::string> queues,
                std::function<void(const result<std::vector<queue_depth>>&)> told) override;
    result<void> status() const override;
    std::optional<steady_time> good_since() const override;
    const std::string& name() const noexcept override { return name_; }

private:
    // What exists from start() on.
    struct working_parts {
        working_parts(redis_broker& of, broker_events& told)
            : changes(of.context_, [this] { look_everywhere(); }), back(of.context_, of.restored_),
              in(of.context_, changes, back, told, of.received_),
              keep(of.context_, changes, back, [this] { answers.on_up(); }),
              answers(of.context_, changes, told) {}
        void look_everywhere() {
            in.wake();
            answers.wake();
            keep.delayed_changed();
        }
        watch changes;
        restorer back;
        incoming in;
        upkeep keep;
        replies answers;
    };

    template <class F>
    void post(F work) {
        thread_.events().post([this, work = std::move(work)]() mutable {
            if (parts_) // or it ends before it was started
                work();
        });
    }
    // For what has an outcome that must be told.
    template <class F>
    void post_told(F work) {
        thread_.events().post(std::move(work));
    }
    result<std::string> element_of(std::string exchange, std::string routing_key,
                                   celery::message_parts parts) const;
    void send(std::optional<utc_time> when, std::string queue, celery::message_parts parts,
              told done);
    void tell_later(told done, failure why);
    void emit_now(const std::string& exchange, const std::string& routing_key, std::string element);
    void farewell();
    void judge();

    void on_up() noexcept override;
    void on_down(const failure& why) noexcept override;
    void on_listening(std::int64_t id) noexcept override { parts_->changes.listener(id); }
    void on_message(const std::string& channel, reply content) noexcept override;

    const broker_options options_;
    const std::string name_;
    const std::string self_ = make_uuid();
    const key_names keys_;
    logger& log_;
    net::redis::client_counters connections_;
    incoming::counters received_;
    counter &published_, &dropped_, &restored_;

    broker_events* events_ = nullptr;
    bool was_up_ = false;
    scripts lua_;
    net::io_thread thread_;
    std::optional<net::redis::client> client_; // gone before those whom it tells
    std::optional<listener> listener_;
    context context_{thread_.events(), *client_, lua_, keys_, options_, log_, self_};
    outgoing out_{context_, dropped_};
    std::optional<working_parts> parts_;
    std::string control_channel_;
    std::optional<net::loop::timer_id> judge_;

    mutable std::mutex guard_;
    std::string trouble_ = "not connected yet";
    std::optional<steady_time> good_since_;
};

// --- beginning and end

void redis_broker::start(broker_events& events) {
    events_ = &events;
    parts_.emplace(*this, events);
    thread_.start();
    post([this] {
        client_->start();
        listener_->start();
        judge();
    });
}

redis_broker::~redis_broker() {
    if (thread_.running())
        farewell();
    else
        thread_.start(); // to tell what was posted
    thread_.run([this] {
        if (judge_)
            thread_.events().cancel(*judge_);
        out_.close();
        if (parts_) {
            parts_->in.stop();
            parts_->keep.stop();
            parts_->answers.stop();
        }
        listener_.reset();
        client_.reset();
    });
    thread_.stop();
}

// Sends the last results and gives everything back, if the server answers in time.
void redis_broker::farewell() {
    auto replied = std::make_shared<std::promise<void>>();
    auto sent = replied->get_future();
    thread_.run([this, replied] { out_.when_replied([replied] { replied->set_value(); }); });
    sent.wait_for(replies_farewell_max);
    auto gone = std::make_shared<std::promise<void>>();
    auto done = gone->get_future();
    bool has_taken = false;
    thread_.run([this, gone, &has_taken] {
        has_taken = parts_->in.has_taken();
        if (!client_->up())
            return gone->set_value();
        // One that could not give everything back stays among the holders: the others will notice.
        parts_->in.give_back([this, gone](bool good) {
            if (good)
                parts_->keep.leave([gone] { gone->set_value(); });
            else
                gone->set_value();
        });
    });
    const auto patience = has_taken ? farewell_max : sender_farewell_max;
    if (done.wait_for(patience) != std::future_status::ready && has_taken)
        log_.warning("the broker did not take back what this process had not finished in time",
                     {{"broker", name_}});
}

void redis_broker::on_up() noexcept {
    lua_.load(*client_);
    parts_->changes.on_up();
    parts_->answers.on_up();
    out_.on_up();
    was_up_ = true;
    events_->on_up();
    parts_->keep.on_up();
    parts_->in.on_up();
    judge();
}

void redis_broker::on_down(const failure& why) noexcept {
    parts_->changes.on_down();
    parts_->answers.on_down();
    out_.on_down();
    parts_->keep.on_down();
    parts_->in.on_down();
    judge();
    if (std::exchange(was_up_, false))
        events_->on_down(why);
}

void redis_broker::on_message(const std::string& channel, reply content) noexcept {
    if (channel == invalidation_channel) {
        if (content.kind != reply::what::list)
            return parts_->look_everywhere(); // everything was removed
        for (const auto& key : content.items)
            if (key.text == keys_.delayed)
                parts_->keep.delayed_changed();
            else if (key.text == parts_->answers.key())
                parts_->answers.wake();
            else
                parts_->in.wake();
        return;
    }
    auto request = celery::decode_envelope(content.text);
    if (request)
        events_->on_control(std::move(request->parts));
    else
        log_.warning("a request of remote control cannot be read",
                     {{"why", request.error().message}});
}

// --- sending

result<std::string> redis_broker::element_of(std::string exchange, std::string routing_key,
                                             celery::message_parts parts) const {
    celery::envelope one;
    one.parts = std::move(parts);
    one.exchange = std::move(exchange);
    one.routing_key = std::move(routing_key);
    one.delivery_tag = make_uuid();
    return celery::encode_envelope(std::move(one));
}

void redis_broker::publish(std::string queue, celery::message_parts parts, told done) {
    send(std::nullopt, std::move(queue), std::move(parts), std::move(done));
}

void redis_broker::publish_at(utc_time when, std::string queue, celery::message_parts parts,
                              told done) {
    send(when, std::move(queue), std::move(parts), std::move(done));
}

void redis_broker::tell_later(told done, failure why) {
    post_told([done = std::move(done), why = std::move(why)] {
        if (done)
            done(why);
    });
}

void redis_broker::send(std::optional<utc_time> when, std::string queue,
                        celery::message_parts parts, told done) {
    if (queue.empty() || queue.find('\n') != queue.npos)
        return tell_later(std::move(done),
                          {errc::invalid, "the name of a queue is one line of text"});
    outgoing::message one;
    one.list = keys_.celery.queue(queue, celery::at(parts.properties, "priority").to_int());
    auto element = element_of("", std::move(queue), std::move(parts));
    if (!element)
        return tell_later(std::move(done), element.error());
    if (auto room = out_.admit(element->size()); !room)
        return tell_later(std::move(done), room.error());
    if (when) {
        const auto micros = std::max<std::int64_t>(0, when->time_since_epoch().count());
        one.due = fmt::format("{}.{:06}", micros / 1'000'000, micros % 1'000'000);
    }
    one.element = *std::move(element);
    one.done = [this, when, done = std::move(done)](const result<void>& outcome) {
        if (outcome)
            published_.add();
        if (outcome && when)
            parts_->keep.expect(*when);
        if (done)
            done(outcome);
    };
    post_told([this, one = std::move(one)]() mutable { out_.put(std::move(one)); });
}

void redis_broker::emit(std::string exchange, std::string routing_key,
                        celery::message_parts parts) {
    auto element = element_of(exchange, routing_key, std::move(parts));
    if (!element)
        return log_.error("a message to an exchange cannot be sent",
                          {{"exchange", exchange}, {"why", element.error().message}});
    post([this, exchange = std::move(exchange), routing_key = std::move(routing_key),
          element = *std::move(element)]() mutable {
        emit_now(exchange, routing_key, std::move(element));
    });
}

// Control and events are broadcast; replies of remote control go to the lists that are bound; results to one list.
void redis_broker::emit_now(const std::string& exchange, const std::string& routing_key,
                            std::string element) {
    if (exchange.empty())
        return out_.put_reply(keys_.celery.queue(routing_key), std::move(element));
    if (!client_->up() || client_->pending_bytes() > emitted_bytes_max)
        return dropped_.add();
    const auto ignored = [](const result<reply>&) {};
    if (exchange.starts_with("reply."))
        lua_.reply.run(*client_, {keys_.celery.binding(exchange)},
                       {std::string(separator), routing_key, keys_.prefix, std::move(element),
                        std::string(reply_seconds)},
                       ignored);
    else
        client_->send(command{"PUBLISH", keys_.celery.fanout(exchange, routing_key), element},
                      ignored);
}

// --- receiving

void redis_broker::consume(std::vector<std::string> queues, std::uint32_t prefetch) {
    post([this, queues = std::move(queues), prefetch]() mutable {
        parts_->in.consume(std::move(queues), prefetch);
        judge();
    });
}

void redis_broker::listen_to_control(std::string) {
    post([this] { listener_->subscribe(keys_.celery.fanout(control_exchange)); });
}

std::string redis_broker::reply_queue() {
    post([this] { parts_->answers.open(); });
    return self_;
}

// --- looking

void redis_broker::depths(std::vector<std::string> queues,
                          std::function<void(const result<std::vector<queue_depth>>&)> heard) {
    post_told([this, queues = std::move(queues), heard = std::move(heard)] {
        struct round {
            std::vector<queue_depth> all;
            std::size_t left;
            std::optional<failure> why;
        };
        auto common = std::make_shared<round>();
        for (const auto& name : queues)
            common->all.push_back({name, 0, {}, {}});
        constexpr std::int64_t priorities[] = {0, 3, 6, 9};
        common->left = queues.size() * (std::size(priorities) + 1);
        if (queues.empty())
            return heard(std::move(common->all));
        // What `read` makes of each answer; all are told after the last.
        const auto send = [&](const command& what, std::size_t i, auto read) {
            client_->send(what, [common, i, heard, read](const result<reply>& answer) {
                if (!answer || answer->is_error())
                    common->why = why_not(answer);
                else
                    read(common->all[i], *answer);
                if (--common->left > 0)
                    return;
                if (common->why)
                    heard(*common->why);
                else
                    heard(std::move(common->all));
            });
        };
        for (std::size_t i = 0; i < queues.size(); ++i) {
            command delayed{"HMGET", keys_.delayed_counts};
            for (const auto priority : priorities) {
                const auto list = keys_.celery.queue(queues[i], priority);
                send(command{"LLEN", list}, i, [](queue_depth& of, const reply& answer) {
                    of.ready += static_cast<std::uint64_t>(answer.number);
                });
                delayed.add(list);
            }
            send(delayed, i,
                 [](queue_depth& of, const reply& answer) { of.delayed = delayed_in(answer); });
        }
    });
}

// On the broker's thread, from time to time: so that others may ask without it.
void redis_broker::judge() {
    const auto& trouble = client_->up() ? parts_->in.trouble() : client_->trouble();
    {
        std::lock_guard lock(guard_);
        trouble_ = trouble;
        if (!trouble_.empty())
            good_since_.reset();
        else if (!good_since_)
            good_since_ = now();
    }
    if (judge_)
        thread_.events().cancel(*judge_);
    judge_ = thread_.events().at(now() + std::chrono::seconds(1), [this] {
        judge_.reset();
        judge();
    });
}

result<void> redis_broker::status() const {
    std::lock_guard lock(guard_);
    if (trouble_.empty())
        return {};
    return failure{errc::unavailable, name_ + ": " + trouble_};
}

std::optional<steady_time> redis_broker::good_since() const {
    std::lock_guard lock(guard_);
    return good_since_;
}

} // namespace

result<net::redis::address> one_server(std::string_view url) {
    auto parsed = net::redis::parse_addresses(url);
    if (!parsed)
        return parsed.error();
    if (parsed->pubsub)
        return failure{errc::invalid, "redis+pubsub:// is for channel layers; jobs use redis://"};
    if (parsed->hosts.size() != 1)
        return failure{errc::invalid, "jobs use one Redis server, not several"};
    return std::move(parsed->hosts.front());
}

} // namespace redis

result<std::unique_ptr<broker>> open_redis_broker(const broker_options& options, logger& log,
                                                  metrics& counted) {
    auto where = redis::one_server(options.url);
    if (!where)
        return where.error();
    return std::unique_ptr<broker>(
        std::make_unique<redis::redis_broker>(options, *std::move(where), log, counted));
}

} // namespace carillon::jobs
