// How a run ends in a broker: what follows from it is made safe step by step, then its message is acknowledged.
#include <algorithm>

#include <fmt/format.h>

#include "jobs/broker_store.hpp"
#include "jobs/consequences.hpp"

namespace carillon::jobs {

namespace {

namespace celery = wire::celery;

constexpr std::string_view unique_header = "carillon_unique_key";
constexpr int chord_tries_max = 3; // of a result store that works and yet says that it cannot

celery::result_record record_for(const celery::message& m, std::string_view status) {
    celery::result_record r;
    r.task_id = m.id;
    r.status = status;
    r.group_id = m.group;
    r.parent_id = m.parent_id;
    if (celery::is_final(status))
        r.date_done = utc_now();
    return r;
}

// What several at once have told: the last one passes on the first failure.
class gathering {
public:
    gathering(std::size_t count, broker::told done) : left_(count), done_(std::move(done)) {}
    void hear(const result<void>& outcome) {
        {
            std::lock_guard lock(guard_);
            if (!outcome && !failed_)
                failed_ = outcome.error();
            if (--left_ > 0)
                return;
        }
        done_(failed_ ? result<void>(*failed_) : result<void>());
    }

private:
    std::mutex guard_;
    std::size_t left_;
    std::optional<failure> failed_;
    broker::told done_;
};

} // namespace

struct broker_store::ending {
    run_end end;
    std::string queue;
    wire::celery::message_identity known;
    steady_time started{}; // nothing where it did not run
    std::function<void(bool)> done;
    std::weak_ptr<sequence> steps;
    std::vector<celery::result_tuple> children;
    int chord_tries = 0;

    bool keeps_result() const { return !end.of || !end.of->ignore_result.value_or(false); }
    celery::result_record record() const {
        celery::message unreadable;
        if (!end.of)
            unreadable.id = known.id;
        auto r = record_for(end.of ? *end.of : unreadable, status_of(end.state));
        r.outcome = outcome_of(end);
        r.traceback = end.traceback;
        r.children = children;
        return r;
    }
};

void broker_store::end_run(run_end end, std::function<void(bool held)> done) {
    auto e = std::make_shared<ending>();
    e->end = std::move(end);
    e->done = std::move(done);
    {
        std::unique_lock lock(guard_);
        auto found = out_.find(e->end.job.seq);
        if (found == out_.end() || found->second->owner != e->end.owner) {
            lock.unlock();
            return e->done(false);
        }
        found->second->ending = true;
        e->queue = found->second->queue;
        e->started = found->second->started;
        e->known = found->second->known;
    }
    auto steps = steps_of(e);
    if (steps.empty())
        return settle(e, true);
    auto run =
        sequence::make({std::move(steps), [this, e](const failure& why) { return judge(why, *e); },
                        [this](std::shared_ptr<sequence> paused) {
                            std::lock_guard lock(guard_);
                            paused_.push_back(std::move(paused));
                        },
                        [this, e](bool completed) { settle(e, completed); }});
    e->steps = run;
    {
        std::lock_guard lock(guard_);
        if (auto found = workers_.find(e->end.owner); found != workers_.end())
            found->second.endings.insert(run);
    }
    run->start();
}

std::deque<sequence::step> broker_store::steps_of(const shared_ending& e) {
    std::deque<sequence::step> steps;
    if (!e->end.of) {
        if (!e->known.id.empty())
            steps.push_back([this, e](sequence::told done) {
                results_->put(e->record(), e->known.reply_to, e->known.correlation_id,
                              std::move(done));
            });
        return steps;
    }
    if (e->end.state == end_state::retried) {
        add_retried(e, steps);
        return steps;
    }
    auto following = consequences_of(
        e->end, [this, &of = *e->end.of] { return sending_after(of); }, log_);
    // Callbacks before the result, so that it can name them; errbacks after it, so that they find it.
    const bool calls_first = e->end.state == end_state::completed;
    if (following.calls && calls_first) {
        e->children = following.calls->children;
        steps.push_back(plan_step(*std::move(following.calls)));
    }
    if (e->keeps_result())
        steps.push_back(record_step(e->record(), e->end.of.get()));
    if (following.part)
        steps.push_back(chord_step(e, e->end.of, *std::move(following.part)));
    for (const auto& later : following.abandoned)
        add_abandoned(e, later, steps);
    if (following.calls && !calls_first)
        steps.push_back(plan_step(*std::move(following.calls)));
    if (const auto* key = e->end.of->extra.find(unique_header); key && key->is_string())
        steps.push_back(
            [this, key = std::string(key->to_text()), id = e->end.of->id](sequence::told done) {
                // A key that cannot be released runs out by itself.
                results_->release_unique(key, id, [done](const result<void>&) { done({}); });
            });
    return steps;
}

// A later step of its chain ends as it did, so that nobody waits for it in vain.
void broker_store::add_abandoned(const shared_ending& e, const celery::abandoned_step& later,
                                 std::deque<sequence::step>& steps) {
    auto step = std::make_shared<celery::message>(stand_in(later, *e->end.of));
    auto r = record_for(*step, status_of(e->end.state));
    r.outcome = outcome_of(e->end);
    r.traceback = e->end.traceback;
    steps.push_back(record_step(std::move(r), e->end.of.get()));
    if (auto part = celery::end_of_member(later, status_of(e->end.state), outcome_of(e->end)))
        steps.push_back(chord_step(e, std::move(step), *std::move(part)));
}

void broker_store::add_retried(const shared_ending& e, std::deque<sequence::step>& steps) {
    steps.push_back(
        [this, e](sequence::told done) { publish(e->queue, *e->end.next, std::move(done)); });
    if (e->keeps_result())
        steps.push_back(record_step(e->record(), e->end.of.get()));
}

sequence::step broker_store::record_step(celery::result_record what, const celery::message* of) {
    return [this, what = std::make_shared<const celery::result_record>(std::move(what)),
            to = of->reply_to, correlation = of->correlation_id](sequence::told done) {
        results_->put(*what, to, correlation, std::move(done));
    };
}

// What was sent is not sent again when the rest has to be.
sequence::step broker_store::plan_step(celery::plan what) {
    struct state {
        celery::plan plan;
        std::vector<char> sent; // by its message's thread only, read by the next try
    };
    auto s = std::make_shared<state>(state{std::move(what), {}});
    s->sent.resize(s->plan.messages.size());
    auto messages = [this, s](broker::told done) {
        std::vector<std::size_t> left;
        for (std::size_t i = 0; i < s->sent.size(); ++i)
            if (!s->sent[i])
                left.push_back(i);
        if (left.empty())
            return done({});
        auto all = std::make_shared<gathering>(left.size(), std::move(done));
        for (const auto i : left) {
            const auto& each = s->plan.messages[i];
            publish(route(each), each.what, [s, i, all](const result<void>& outcome) {
                s->sent[i] = outcome.has_value();
                all->hear(outcome);
            });
        }
    };
    if (s->plan.chord_sizes.empty())
        return messages;
    return [this, s, messages](sequence::told done) {
        auto counted = std::make_shared<gathering>(s->plan.chord_sizes.size(),
                                                   [messages, done](const result<void>& outcome) {
                                                       outcome ? messages(done) : done(outcome);
                                                   });
        for (const auto& each : s->plan.chord_sizes)
            results_->put_chord_size(each, [counted](const auto& o) { counted->hear(o); });
    };
}

sequence::step broker_store::chord_step(const shared_ending& e, shared_message last,
                                        celery::chord_part part) {
    return [this, e, last, part = std::move(part)](sequence::told done) {
        results_->add_chord_part(part, [this, e, last, done](const auto& told) {
            if (!told) {
                // A store that works and yet refuses has no chords: no further try helps.
                const bool never =
                    results_->status().has_value() && ++e->chord_tries >= chord_tries_max;
                return done(never ? failure{errc::method_not_allowed, told.error().message}
                                  : told.error());
            }
            if (*told)
                if (auto in = e->steps.lock())
                    in->follow_with(chord_end(*last, **told));
            done({});
        });
    };
}

// All members have ended: the body is sent, or fails.
std::vector<sequence::step> broker_store::chord_end(const celery::message& last,
                                                    const std::vector<std::string>& members) {
    std::vector<sequence::step> steps;
    auto end = celery::end_of_chord(last, members, sending_after(last));
    if (!end) {
        log_.error("a chord could not be ended",
                   {{"group", last.group}, {"error", end.error().message}});
    } else if (end->error) {
        celery::message body;
        body.id = end->body_id;
        body.reply_to = (*last.embed.find("chord"))["options"]["reply_to"].to_text();
        body.correlation_id = end->body_id;
        auto r = record_for(body, celery::state::failure);
        r.outcome = celery::to_value(*end->error);
        if (!body.id.empty())
            steps.push_back(record_step(std::move(r), &body));
        steps.push_back(plan_step(std::move(end->errbacks)));
    } else {
        steps.push_back(plan_step(std::move(end->body)));
    }
    steps.push_back([this, group = last.group](sequence::told done) {
        results_->forget_chord(group, std::move(done));
    });
    return steps;
}

sequence::verdict broker_store::judge(const failure& why, const ending& e) {
    if (closing_)
        return sequence::verdict::give_up;
    switch (why.code) {
    case errc::unavailable:
    case errc::timed_out:
    case errc::cancelled:
    case errc::closed:
    case errc::too_many_requests:
    case errc::internal: break;
    default:
        log_.error("a part of the end of a job cannot be stored and is left out",
                   {{"job", e.end.of ? e.end.of->id : e.known.id}, {"error", why.message}});
        return sequence::verdict::skip;
    }
    std::lock_guard lock(guard_);
    auto found = out_.find(e.end.job.seq);
    // Its message comes again, and with it another end.
    const bool lost = found == out_.end() || found->second->tag == 0;
    return lost ? sequence::verdict::give_up : sequence::verdict::pause;
}

void broker_store::settle(const shared_ending& e, bool completed) {
    std::uint64_t tag = 0;
    bool acknowledged = false, wanted_again = false;
    {
        std::lock_guard lock(guard_);
        if (auto ran = workers_.find(e->end.owner); ran != workers_.end()) {
            auto& endings = ran->second.endings;
            endings.erase(e->steps.lock());
            wanted_again = ran->second.held_up && endings.size() < endings_max / 2;
            if (wanted_again)
                ran->second.held_up = false;
        }
        auto found = out_.find(e->end.job.seq);
        if (found != out_.end()) {
            tag = found->second->tag;
            acknowledged = found->second->acknowledged;
            if (tag == 0 && e->end.of) {
                orphans_.erase(e->end.of->id);
                if (completed && !acknowledged)
                    count_.unacknowledged.add();
            }
            // An acknowledgement may be lost with the connection, and a broker that is killed forgets some.
            if (completed && e->end.of)
                ended_.add({run_name(*e->end.of)});
            wanted_again |= leave_permit(e->end.job.seq, *found->second, completed);
            out_.erase(found);
        }
    }
    if (completed)
        tell_end(*e);
    if (tag != 0 && !acknowledged) {
        if (completed && !e->end.rejected)
            broker_->ack(tag);
        else
            broker_->reject(tag, !completed);
    }
    e->done(completed);
    if (wanted_again)
        changed();
}

void broker_store::tell_end(const ending& e) const {
    const auto& id = e.end.of ? e.end.of->id : e.known.id;
    tell_events([&](event_sender& events) {
        const auto thrown = celery::repr(e.end.exception);
        switch (e.end.state) {
        case end_state::completed: return events.succeeded(id, e.end.result, now() - e.started);
        case end_state::failed: return events.failed(id, thrown, e.end.traceback);
        case end_state::retried: return events.retried(id, thrown, e.end.traceback);
        case end_state::cancelled:
            const bool expired = e.end.exception.arguments == array{"expired"};
            return events.revoked(id, e.end.ran, std::nullopt, expired);
        }
    });
}

} // namespace carillon::jobs
