// What a run needs before it begins: a place of each concurrency limit, and for a message that was delivered before the
// count of its runs that never ended. The part of broker_store that asks the ledger.
#include <algorithm>

#include <fmt/format.h>

#include "jobs/broker_store.hpp"

namespace carillon::jobs {

namespace {

constexpr std::chrono::milliseconds unused_after{500}; // no thread had time to ask for so long
// A quorum queue counts each return of a message, also those by workers that live: it takes many to stand for a death.
constexpr std::int64_t returns_per_loss = 8;
constexpr std::string_view returns_header = "x-delivery-count";

constexpr std::chrono::milliseconds put_off_first{1'000}, put_off_max{600'000};

} // namespace

void broker_store::see_permit(const delivery& received, delivered& d) const {
    const auto& m = *d.message;
    if (const auto limit = limit_of(m, registry_); limit.max > 0)
        d.request.places.push_back({"key:" + limit.key, limit.max});
    if (const auto limit = options_.queue_limits.find(d.queue);
        limit != options_.queue_limits.end())
        d.request.places.push_back({"queue:" + d.queue, limit->second});
    for (const auto& each : d.request.places)
        d.lane += each.key + '\n';
    if (received.redelivered && ledger_->counts_losses())
        d.request.counted_id = m.id;
    else if (received.redelivered)
        if (const auto* returns = received.parts.headers.find(returns_header))
            d.losses = returns->to_int() / returns_per_loss;
    if (!d.request.places.empty() || !d.request.counted_id.empty())
        d.permit = permission::wanted;
}

bool broker_store::needs_permit(const delivered& d) {
    if (d.permit != permission::wanted || d.cancel)
        return false;
    return !d.message->expires || *d.message->expires >= utc_now(); // else it does not run
}

void broker_store::ask(std::int64_t seq, delivered& d, std::vector<action>& calls) {
    d.permit = permission::asked;
    ++asking_;
    calls.push_back([this, seq, request = d.request] {
        ledger_->ask(request, [this, seq, request](const result<run_permit>& answer) {
            answered(seq, request, answer);
        });
    });
}

void broker_store::answered(std::int64_t seq, const run_request& request,
                            const result<run_permit>& answer) {
    const bool given = answer && answer->given;
    std::vector<action> calls;
    {
        std::lock_guard lock(guard_);
        --asking_;
        if (closing_)
            return;
        const auto found = out_.find(seq);
        if (found == out_.end() || found->second->permit != permission::asked) {
            if (given)
                ledger_->leave(request, false);
            return;
        }
        auto& d = *found->second;
        if (!answer && std::exchange(ledger_good_, false))
            log_.warning("concurrency limits cannot be asked for: jobs with limits wait",
                         {{"error", answer.error().message}});
        else if (answer)
            ledger_good_ = true;
        if (given || request.places.empty())
            permitted(seq, d, answer);
        else
            refused(seq, d, calls);
    }
    make_calls(calls);
    changed();
}

// With guard_ held, as all that follows.
void broker_store::permitted(std::int64_t seq, delivered& d, const result<run_permit>& answer) {
    d.permit = answer ? permission::given
                      : permission::none; // what only counts must not keep a job waiting
    d.losses = answer ? answer->losses : 0;
    lost_ += d.losses > 0;
    if (!d.lane.empty())
        if (const auto next = lanes_.given(d.lane); next != 0)
            try_again(next);
    d.since = now();
    ready_.push_front(seq);
}

void broker_store::refused(std::int64_t seq, delivered& d, std::vector<action>& calls) {
    d.permit = permission::wanted;
    lanes_.refused(d.lane, seq);
    if (now() - d.arrived > options_.hold_max)
        send_off(seq, calls);
}

// It stands in front: it has waited longest.
void broker_store::try_again(std::int64_t seq) {
    out_.at(seq)->since = now();
    ready_.push_front(seq);
}

// Too many wait here, or one too long: the broker's store keeps them for a while. The more, the longer, so that they
// come back as a stream.
void broker_store::send_off(std::int64_t seq, std::vector<action>& calls) {
    if (lanes_.size() < options_.limited_max / 2)
        sent_off_ = 0;
    const auto pause =
        std::min(put_off_first + std::chrono::milliseconds(sent_off_++), put_off_max);
    const auto found = out_.find(seq);
    lanes_.remove(found->second->lane, seq);
    count_.delayed.add();
    calls.push_back(
        [this, tag = found->second->tag, when = utc_now() + pause] { broker_->delay(tag, when); });
    out_.erase(found);
}

// The delivery leaves this process' hands. True when others that wait here may ask now. The ledger is asked with guard_
// held: it calls nobody back, and whoever asks next must come after.
bool broker_store::leave_permit(std::int64_t seq, const delivered& d, bool ended) {
    if (!d.lane.empty())
        lanes_.remove(d.lane, seq);
    if (d.permit != permission::given)
        return false;
    ledger_->leave(d.request, ended);
    return lanes_.hurry([&](const std::string& lane) {
        return std::ranges::any_of(d.request.places, [&](const place& each) {
            return lane.find(each.key + '\n') != std::string::npos;
        });
    });
}

// Lanes for which no thread had time: where there is a place, others may use it.
void broker_store::ask_for_idle_lanes(std::vector<action>& calls) {
    for (const auto seq : lanes_.due(now() - unused_after))
        ask(seq, *out_.at(seq), calls);
}

std::vector<run_request> broker_store::held_permits() const {
    std::vector<run_request> held;
    for (const auto& [seq, d] : out_)
        if (d->permit == permission::given && !d->request.places.empty())
            held.push_back(d->request);
    return held;
}

} // namespace carillon::jobs
