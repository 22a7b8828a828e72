#include "jobs/broker/redis_upkeep.hpp"

#include <algorithm>
#include <utility>

namespace carillon::jobs::redis {

using wire::redis::reply;

namespace {

constexpr int due_max = 200, restored_max = 50;
// The delayed set is looked at that often though nobody says that it has changed.
constexpr std::chrono::milliseconds due_interval{1'000};
// Many changes are one look.
constexpr std::chrono::milliseconds change_pause{10};
constexpr std::chrono::milliseconds sweep_interval{5'000};

} // namespace

void upkeep::on_up() {
    up_ = true;
    moving_ = false;
    up_since_ = now();
    move_due();
    heartbeat();
    sweep();
}

void upkeep::stop() {
    up_ = false;
    for (auto* timer : {&due_, &heartbeat_, &sweep_})
        if (*timer)
            in_.loop.cancel(*std::exchange(*timer, std::nullopt));
}

// --- delayed messages

void upkeep::delayed_changed() { due_after(change_pause); }

void upkeep::expect(utc_time due) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - utc_now());
    if (left < due_interval)
        due_after(std::max(left, std::chrono::milliseconds(0)));
}

void upkeep::due_after(std::chrono::milliseconds pause) {
    const auto when = now() + pause;
    if (!up_ || (due_ && due_at_ <= when))
        return;
    if (due_)
        in_.loop.cancel(*due_);
    due_at_ = when;
    due_ = in_.loop.at(when, [this] {
        due_.reset();
        move_due();
    });
}

void upkeep::move_due() {
    if (!up_ || std::exchange(moving_, true))
        return;
    if (changes_.works()) // before it is read, so that no change is missed
        changes_.look({in_.keys.delayed}, [](std::int64_t) {});
    in_.lua.due.run(in_.commands, {in_.keys.delayed}, {std::to_string(due_max)},
                    [this](const result<reply>& answer) {
                        moving_ = false;
                        if (!answer || answer->items.size() != 2)
                            return due_after(due_interval);
                        const std::chrono::milliseconds next(answer->items[1].number);
                        due_after(next.count() < 0 ? due_interval : std::min(next, due_interval));
                    });
}

// --- the living and the dead

void upkeep::heartbeat() {
    in_.lua.heartbeat.run(
        in_.commands, {in_.keys.holders}, {in_.self, std::to_string(lease.count())},
        [this](const result<reply>& answer) {
            // After an outage the others need time to show that they live.
            if (!answer || answer->items.empty() || !up_ || now() - up_since_ < lease)
                return;
            if (answer->items[0].number == 1) {
                in_.log.warning(
                    "this process was silent for so long that its messages went to others",
                    {{"seconds", std::int64_t{lease.count()}}});
                declared_dead_();
            }
            for (std::size_t i = 1; i < answer->items.size(); ++i)
                take_over(answer->items[i].text);
        });
    heartbeat_ = in_.loop.at(now() + heartbeat_interval, [this] {
        heartbeat_.reset();
        heartbeat();
    });
}

void upkeep::take_over(const std::string& dead) {
    in_.lua.held_by.run(in_.commands, {in_.keys.celery.unacked(), in_.keys.celery.unacked_index()},
                        {dead + ".", std::to_string(restored_max)},
                        [this, dead](result<reply> answer) {
                            if (!answer || answer->is_error() || !up_)
                                return;
                            auto left = read_remembered(*answer);
                            if (left.empty())
                                return bury(dead, lease, [](const result<reply>&) {});
                            in_.log.warning("the messages of a worker that is gone go to others",
                                            {{"worker", dead}, {"messages", left.size()}});
                            std::ranges::reverse(left); // the oldest in front
                            back_.put_back(left, [this, dead](const result<void>& done) {
                                if (done && up_)
                                    take_over(dead); // there may be more
                            });
                        });
}

void upkeep::bury(const std::string& dead, std::chrono::seconds silent,
                  net::redis::client::told done) {
    wire::celery::redis_names::bound_queue replies{dead, "", dead};
    in_.lua.bury.run(
        in_.commands,
        {in_.keys.holders, in_.keys.publishers, in_.keys.celery.binding("reply.celery.pidbox"),
         in_.keys.celery.queue(dead)},
        {dead, std::to_string(silent.count()), in_.keys.celery.binding_member(replies)},
        std::move(done));
}

void upkeep::leave(std::function<void()> done) {
    bury(in_.self, std::chrono::seconds(-1),
         [done = std::move(done)](const result<reply>&) { done(); });
}

// --- the visibility timeout

void upkeep::sweep() {
    const auto visibility = in_.options.visibility_timeout;
    in_.lua.overdue.run(in_.commands,
                        {in_.keys.celery.unacked(), in_.keys.celery.unacked_index(),
                         in_.keys.celery.unacked_mutex()},
                        {std::to_string(visibility.count()), std::to_string(restored_max)},
                        [this](result<reply> answer) {
                            if (!answer || answer->is_error() || !up_)
                                return;
                            auto found = read_remembered(*answer);
                            if (found.empty())
                                return;
                            in_.log.warning(
                                "messages that nobody acknowledged in time go to others",
                                {{"messages", found.size()}});
                            std::ranges::reverse(found);
                            back_.put_back(found, [this](const result<void>& done) {
                                if (done && up_)
                                    sweep(); // there may be more
                            });
                        });
    if (sweep_)
        in_.loop.cancel(*sweep_);
    const std::chrono::milliseconds half = visibility / 2;
    sweep_ = in_.loop.at(now() + std::clamp(half, std::chrono::milliseconds(500), sweep_interval),
                         [this] {
                             sweep_.reset();
                             sweep();
                         });
}

} // namespace carillon::jobs::redis
