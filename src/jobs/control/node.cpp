#include "jobs/control/node.hpp"

#include <exception>
#include <utility>

namespace carillon::jobs {

namespace celery = wire::celery;

control_node::control_node(broker& through, worker_view& worker, lamport_clock& clock,
                           event_sender& events, newest_ids& revoked, control_options options,
                           logger& log, metrics& counted)
    : broker_(through), clock_(clock), options_(std::move(options)),
      context_{options_.node, worker, clock, events, revoked, log, options_.listed_max}, log_(log),
      handled_(counted.add(metric_kind::counter, "carillon_control_requests_total",
                           "Requests of remote control that this node carried out.")),
      dropped_(counted.add(metric_kind::counter, "carillon_control_requests_dropped_total",
                           "Requests of remote control that were malformed, late or too many.")) {}

control_node::~control_node() { stop(); }

void control_node::start() {
    broker_.listen_to_control(options_.node);
    thread_ = std::thread([this] { run(); });
}

void control_node::stop() {
    {
        std::lock_guard lock(guard_);
        stopping_ = true;
        waiting_.clear();
        wake_.notify_all();
    }
    if (thread_.joinable())
        thread_.join();
}

void control_node::on_control(celery::message_parts request) noexcept {
    std::lock_guard lock(guard_);
    if (stopping_ || waiting_.size() >= options_.waiting_max)
        return dropped_.add();
    waiting_.push_back(std::move(request));
    wake_.notify_all();
}

void control_node::run() {
    std::unique_lock lock(guard_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_)
            return;
        const auto parts = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        // Whatever a worker throws ends its request, and no more.
        try {
            handle(parts);
        } catch (const std::exception& thrown) {
            log_.error("a request of remote control failed", {{"why", thrown.what()}});
        }
        lock.lock();
    }
}

void control_node::handle(const celery::message_parts& parts) {
    const auto request = celery::decode_request(parts);
    if (!request) {
        dropped_.add();
        return log_.warning("a request of remote control cannot be read",
                            {{"why", request.error().message}});
    }
    clock_.seen(request->clock);
    if (!is_meant(*request))
        return;
    const double at = std::chrono::duration<double>(utc_now().time_since_epoch()).count();
    const auto late_max = static_cast<double>(options_.late_max.count());
    if (request->expires > 0 && at > request->expires + late_max) {
        dropped_.add();
        return log_.info("a request of remote control came too late",
                         {{"method", request->method}});
    }
    spend_turn();
    handled_.add();
    std::optional<value> content;
    try {
        content = run_command(context_, request->method, request->arguments);
    } catch (const std::exception& thrown) {
        content = celery::error_reply(thrown.what());
        log_.error("a request of remote control failed",
                   {{"method", request->method}, {"why", thrown.what()}});
    }
    if (content && request->wants_reply())
        answer(*request, *content);
}

bool control_node::is_meant(const celery::control_request& request) {
    const auto meant = celery::is_for(request, options_.node);
    if (meant)
        return *meant;
    dropped_.add();
    log_.warning("a request of remote control cannot be matched", {{"why", meant.error().message}});
    return false;
}

// An exchange of the asker's choice could be one that does not exist, which costs a channel.
void control_node::answer(const celery::control_request& request, const value& content) {
    if (request.reply_exchange != celery::pidbox_reply_exchange)
        return log_.warning("a request of remote control asks to be answered elsewhere",
                            {{"exchange", request.reply_exchange}});
    celery::control_reply reply;
    reply.node = options_.node;
    reply.content = content;
    reply.ticket = request.ticket;
    reply.clock = clock_.next();
    broker_.emit(request.reply_exchange, request.reply_routing_key, celery::encode_reply(reply));
}

void control_node::spend_turn() {
    const auto at = now();
    if (at - second_began_ >= std::chrono::seconds(1)) {
        second_began_ = at;
        in_second_ = 0;
    }
    if (in_second_ < options_.per_second) {
        ++in_second_;
        return;
    }
    std::unique_lock lock(guard_);
    wake_.wait_until(lock, second_began_ + std::chrono::seconds(1), [this] { return stopping_; });
    second_began_ = now();
    in_second_ = 1;
}

} // namespace carillon::jobs
