// Receiving: the part of broker_store that hears the broker and sorts what it delivers.
#include <algorithm>

#include <fmt/format.h>

#include "jobs/broker_store.hpp"
#include "wire/celery/control.hpp"

namespace carillon::jobs {

namespace {

namespace celery = wire::celery;

constexpr std::size_t due_at_once = 256; // of those whose time has come, in one go

} // namespace

// --- what the broker tells

void broker_store::on_up() noexcept {
    {
        std::lock_guard lock(guard_);
        heard_good_ = now();
        was_up_ = true;
        heard_.notify_all();
    }
    std::shared_lock lock(ears_guard_);
    if (ears_.events)
        ears_.events->on_up();
}

void broker_store::on_down(const failure&) noexcept {
    {
        std::shared_lock lock(ears_guard_);
        if (ears_.events)
            ears_.events->on_down();
    }
    std::lock_guard lock(guard_);
    {
        std::lock_guard inbox(inbox_guard_);
        inbox_.clear();
        ++connections_;
    }
    heard_good_ = now();
    std::erase_if(out_, [&](const auto& each) {
        if (each.second->owner != 0)
            return false;
        leave_permit(each.first, *each.second, false);
        return true;
    });
    ready_.clear();
    lanes_.clear();
    held_.clear();
    for (auto& [seq, d] : out_) {
        if (d->message && d->tag != 0)
            orphans_[d->message->id] = seq;
        d->tag = 0;
    }
}

void broker_store::on_delivery(delivery received) noexcept {
    bool first = false;
    {
        std::lock_guard lock(inbox_guard_);
        first = inbox_.empty();
        inbox_.push_back(std::move(received));
    }
    if (first)
        changed();
}

void broker_store::on_control(celery::message_parts request) noexcept {
    {
        std::shared_lock lock(ears_guard_);
        if (ears_.control)
            return ears_.control(std::move(request));
    }
    obey(request);
}

// The one command that a worker without remote control follows: cancel() of other processes comes by it.
void broker_store::obey(const celery::message_parts& parts) {
    const auto request = celery::decode_request(parts);
    if (!request || request->method != "revoke")
        return;
    std::vector<std::string> names;
    {
        std::lock_guard lock(guard_);
        for (const auto& [owner, each] : workers_)
            names.push_back(each.shown.name);
    }
    const auto meant = [&](const std::string& node) {
        const auto is_it = celery::is_for(*request, node);
        return is_it && *is_it;
    };
    if (std::ranges::any_of(names, meant))
        revoke(celery::task_ids(request->arguments),
               request->arguments.find("terminate") &&
                   request->arguments.find("terminate")->to_bool());
}

void broker_store::on_reply(celery::message_parts reply) noexcept {
    std::lock_guard lock(replies_guard_);
    if (results_)
        results_->rpc_received(std::move(reply));
}

// --- intake

// Retries of one job are runs of their own.
std::string broker_store::run_name(const celery::message& m) {
    return fmt::format("{}#{}", m.id, m.retries);
}

std::unique_ptr<broker_store::delivered> broker_store::read(const delivery& received) {
    auto d = std::make_unique<delivered>();
    d->tag = received.tag;
    d->queue = received.queue;
    const auto& parts = received.parts;
    auto message = celery::decode(parts.headers, parts.properties, parts.body);
    if (message) {
        d->message = std::make_shared<celery::message>(*std::move(message));
    } else {
        d->unreadable = message.error();
        d->known = celery::identify(parts);
    }
    return d;
}

void broker_store::take_in() {
    std::vector<delivery> fresh;
    std::uint64_t connection = 0;
    {
        std::lock_guard lock(inbox_guard_);
        fresh.swap(inbox_);
        connection = connections_;
    }
    if (fresh.empty())
        return;
    std::vector<std::unique_ptr<delivered>> decoded;
    decoded.reserve(fresh.size());
    for (const auto& each : fresh)
        decoded.push_back(read(each));
    tell_events([&](event_sender& events) {
        for (const auto& each : decoded)
            if (each->message)
                events.received(*each->message);
    });
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        if (connection != connections_)
            return; // all of these come again
        for (std::size_t i = 0; i < fresh.size(); ++i)
            sort_in(fresh[i], std::move(decoded[i]), calls);
    }
    make_calls(calls);
}

void broker_store::sort_in(const delivery& received, std::unique_ptr<delivered> d,
                           std::vector<action>& calls) {
    if (!d->message) {
        if (!d->known.id.empty())
            return make_ready(std::move(d), calls); // it fails as any job may
        count_.refused.add();
        log_.warning("a message that nobody can be told about was rejected",
                     {{"queue", d->queue}, {"error", d->unreadable.message}});
        calls.push_back([this, tag = d->tag] { broker_->reject(tag, false); });
        return;
    }
    const auto& m = *d->message;
    if (received.redelivered && rejoin(received, m, calls))
        return;
    if (revoked_.contains(m.id)) {
        d->cancel = true;
        return make_ready(std::move(d), calls);
    }
    const auto at = utc_now();
    const bool expired = m.expires && *m.expires < at;
    if (expired || !m.eta || *m.eta <= at) {
        see_permit(received, *d);
        return make_ready(std::move(d), calls);
    }
    if (*m.eta <= at + options_.hold_max && held_.size() < options_.held_max)
        return held_.add(*m.eta, m.id, received);
    count_.delayed.add();
    calls.push_back([this, tag = d->tag, eta = *m.eta] { broker_->delay(tag, eta); });
}

// The message of a run that outlived its connection, or ended without it.
bool broker_store::rejoin(const delivery& received, const celery::message& m,
                          std::vector<action>& calls) {
    if (auto orphan = orphans_.find(m.id); orphan != orphans_.end()) {
        auto there = out_.find(orphan->second);
        if (there != out_.end() && there->second->message->retries == m.retries) {
            orphans_.erase(orphan);
            count_.rejoined.add();
            there->second->tag = received.tag;
            if (there->second->acknowledged)
                calls.push_back([this, tag = received.tag] { broker_->ack(tag); });
            return true;
        }
    }
    if (!ended_.contains(run_name(m)))
        return false;
    count_.repeated.add();
    calls.push_back([this, tag = received.tag] { broker_->ack(tag); });
    return true;
}

void broker_store::make_ready(std::unique_ptr<delivered> d, std::vector<action>& calls) {
    const auto seq = ++last_seq_;
    auto& there = *out_.emplace(seq, std::move(d)).first->second;
    if (there.permit == permission::wanted)
        there.request.holder = fmt::format("{}.{}", self_, seq);
    if (there.lane.empty() || !lanes_.join(there.lane, seq))
        ready_.push_back(seq);
    else if (lanes_.size() > options_.limited_max)
        send_off(seq, calls);
}

void broker_store::wake_due(std::vector<action>& calls) {
    for (const auto& each : held_.take_due(utc_now(), due_at_once))
        sort_in(each, read(each), calls);
}

} // namespace carillon::jobs
