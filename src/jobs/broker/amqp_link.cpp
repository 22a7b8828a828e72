#include "jobs/broker/amqp_link.hpp"

#include <algorithm>
#include <utility>

namespace carillon::jobs::amqp {

namespace {

constexpr std::uint16_t declaring_channel = 3;
// A connection that was up for as long has recovered: the next loss begins with the shortest back-off.
constexpr std::chrono::seconds steady_after{5};
constexpr std::chrono::milliseconds goodbye_patience{1'000};
constexpr std::chrono::milliseconds sender_goodbye_patience{250}; // of one that never consumed

queue_shape shape_of(const broker_options& options) {
    return {options.queue_priority_max, options.quorum_queues};
}

} // namespace

link::link(net::loop& on, const broker_options& options, address where, unconfirmed_places& places,
           logger& log, counters& counted)
    : loop_(on), options_(options), where_(std::move(where)), log_(log), counted_(counted),
      receiving_side_(*this, false), publishing_side_(*this, true),
      publisher_(on, shape_of(options), places, log, counted),
      receiver_(on, shape_of(options), *this, log, counted), backoff_(options.backoff_first),
      jitter_(std::random_device{}()), trouble_("RabbitMQ was not reached yet") {}

link::pair::pair(link& of, const endpoint& where)
    : receiving(of.loop_, where, of.options_for("carillon: receives"), of.receiving_side_),
      publishing(of.loop_, where, of.options_for("carillon: publishes"), of.publishing_side_),
      declares(receiving, declaring_channel, of.log_, of.said_) {}

connection_options link::options_for(const char* purpose) const {
    connection_options out;
    out.purpose = purpose;
    out.tls = where_.tls;
    out.timeout = options_.connect_timeout;
    out.heartbeat = where_.heartbeat ? std::chrono::seconds(*where_.heartbeat) : options_.heartbeat;
    out.message_bytes_max = options_.message_bytes_max;
    return out;
}

void link::start(broker_events& events) {
    events_ = &events;
    receiver_.deliver_to(events);
    publisher_.leave({errc::unavailable, where_.name() + " was not reached yet"});
    if (!closing_)
        connect();
}

// --- up and down

void link::connect() {
    pair_ = std::make_unique<pair>(*this, where_.hosts[host_]);
    pair_->receiving.open();
    pair_->publishing.open();
}

void link::opened() {
    if (!pair_->receiving.is_open() || !pair_->publishing.is_open())
        return;
    pair_->declares.open();
    pair_->declares.run(exchange_steps(), [](const result<void>&) {});
    receiver_.attach(pair_->receiving, pair_->declares);
}

void link::on_consuming() noexcept {
    not_consuming_.clear();
    if (up_)
        return set_trouble(blocked_why_);
    up_ = true;
    up_since_ = now();
    blocked_why_.clear();
    set_trouble({});
    say_up();
    events_->on_up();
    publisher_.attach(pair_->publishing, pair_->declares);
    receiver_.begin_delivering();
}

void link::on_not_consuming(const std::string& why) noexcept {
    not_consuming_ = "RabbitMQ delivers nothing: " + why;
    if (up_)
        set_trouble(not_consuming_);
}

void link::on_broken(const failure& why) noexcept { lost(why); }

void link::lost(const failure& why) {
    if (!pair_ || closing_)
        return;
    pair_->receiving.abandon();
    pair_->publishing.abandon();
    publisher_.leave(why);
    receiver_.leave();
    // one of them is still in its own call
    loop_.defer([gone = std::shared_ptr<pair>(std::move(pair_))] { static_cast<void>(gone); });
    const bool was_up = std::exchange(up_, false);
    set_trouble(why.message);
    say_lost(why, was_up);
    forget_depths(errc::unavailable, "RabbitMQ is away");
    if (was_up) {
        counted_.losses.add();
        events_->on_down(why);
    }
    retry(was_up);
}

void link::retry(bool was_up) {
    if (was_up && now() - up_since_ >= steady_after)
        backoff_ = options_.backoff_first;
    host_ = (host_ + 1) % where_.hosts.size();
    // the other nodes of a cluster are tried at once; then everybody waits, not all for the same time
    auto wait = options_.backoff_first;
    if (host_ == 0 || was_up) {
        std::uniform_real_distribution<double> share(0.5, 1.0);
        wait = std::chrono::milliseconds(
            static_cast<std::int64_t>(share(jitter_) * static_cast<double>(backoff_.count())));
        backoff_ = std::min(backoff_ * 2, options_.backoff_max);
    }
    retry_ = loop_.at(now() + wait, [this] {
        retry_.reset();
        connect();
    });
}

void link::blocked(std::string_view reason) {
    blocked_why_ = reason.empty() ? "" : "the broker blocks publishers: " + std::string(reason);
    publisher_.block(reason);
    if (!reason.empty())
        log_.warning("RabbitMQ blocks publishers", {{"why", reason}});
    else
        log_.info("RabbitMQ takes messages again");
    if (up_)
        set_trouble(blocked_why_.empty() ? not_consuming_ : blocked_why_);
}

// The same trouble is said once, however often it is met.
void link::say_lost(const failure& why, bool was_up) {
    if (!was_up && why.message == said_trouble_)
        return;
    said_trouble_ = why.message;
    if (why.code == errc::unauthorized)
        log_.error("RabbitMQ refuses the login; it is tried again", {{"why", why.message}});
    else
        log_.warning(was_up ? "The connection to RabbitMQ was lost"
                            : "RabbitMQ cannot be reached; it is tried again",
                     {{"why", why.message}});
}

void link::say_up() {
    if (!std::exchange(said_trouble_, {}).empty())
        log_.info("RabbitMQ is connected again", {{"broker", where_.hosts[host_].name()}});
}

void link::set_trouble(std::string why) {
    std::lock_guard lock(guard_);
    trouble_ = std::move(why);
    if (!trouble_.empty())
        good_since_.reset();
    else if (!good_since_)
        good_since_ = now();
}

result<void> link::status() const {
    std::lock_guard lock(guard_);
    if (trouble_.empty())
        return {};
    return failure{errc::unavailable, trouble_};
}

std::optional<steady_time> link::good_since() const {
    std::lock_guard lock(guard_);
    return good_since_;
}

void link::close() {
    closing_ = true;
    if (retry_)
        loop_.cancel(*std::exchange(retry_, std::nullopt));
    receiver_.flush();
    receiver_.end();
    publisher_.end();
    forget_depths(errc::cancelled, "the broker was closed");
    if (!pair_)
        return loop_.stop();
    const auto both = std::make_shared<int>(2);
    const auto done = [this, both] {
        if (--*both == 0)
            loop_.stop();
    };
    const auto patience = receiver_.has_consumed() ? goodbye_patience : sender_goodbye_patience;
    pair_->receiving.close(patience, done);
    pair_->publishing.close(patience, done);
}

// --- questions

void link::take_replies(std::string queue) {
    publisher_.hold_back();
    receiver_.take_replies(std::move(queue), [this] { publisher_.let_go(); });
}

void link::depths(std::vector<std::string> queues, depths_told told) {
    if (!up_ || closing_)
        return told(failure{closing_ ? errc::cancelled : errc::unavailable, "RabbitMQ is away"});
    const auto question = ++questions_;
    asked_[question] = std::move(told);
    const auto found = std::make_shared<std::vector<broker::queue_depth>>();
    std::vector<step> steps;
    for (auto& queue : queues) {
        auto& one = found->emplace_back();
        one.name = queue;
        one.consumers = 0;
        steps.push_back(
            look_step(std::move(queue), [found, i = found->size() - 1](const reply& got) {
                if (got.problem)
                    return;
                const auto& said = got.got.as<amqp_queue_declare_ok_t>();
                (*found)[i].ready = said.message_count;
                (*found)[i].consumers = said.consumer_count;
            }));
    }
    pair_->declares.run(std::move(steps), [this, question, found](const result<void>& outcome) {
        if (outcome)
            told_depths(question, *found);
        else
            told_depths(question, outcome.error());
    });
}

void link::told_depths(std::uint64_t question,
                       const result<std::vector<broker::queue_depth>>& what) {
    auto one = asked_.extract(question);
    if (one)
        one.mapped()(what);
}

void link::forget_depths(errc code, const char* why) {
    for (auto& [question, told] : std::exchange(asked_, {}))
        told(failure{code, why});
}

} // namespace carillon::jobs::amqp
