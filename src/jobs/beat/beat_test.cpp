#include "jobs/beat/beat.hpp"

#include <algorithm>
#include <functional>
#include <thread>

#include <doctest/doctest.h>

#include "jobs/beat/test_beat.hpp"
#include "jobs/test_support.hpp"

namespace carillon::jobs {

namespace {

using namespace std::chrono_literals;
using net::redis::test::folder;
using testing::at;
using testing::cron;
using testing::file_in;
using testing::journal;
using testing::soon;

schedule_entry entry(std::string name, job_schedule when) {
    return {std::move(name), "proj.add", std::move(when), {}, {}, 0ms};
}

// The queue behind a beat: remembers, and fails when it is told to.
struct queue {
    journal<std::string> ids;
    std::optional<failure> fails;
    std::optional<utc_time> expires;
    enqueue_function function() {
        return [this](const schedule_entry&, enqueue_options options, job_queue::receipt done) {
            if (fails)
                return done(*fails);
            expires = options.expires;
            ids.add(options.id);
            done(options.id);
        };
    }
};

struct rig {
    queue jobs;
    metrics counted;
    std::unique_ptr<beat> one;
    rig(std::vector<schedule_entry> entries, std::unique_ptr<slot_store> slots,
        beat_options options = {}) {
        one = beat::make(std::move(entries), std::move(slots), jobs.function(), options,
                         silent_log(), counted)
                  .value();
    }
    std::vector<std::string> ids() const { return jobs.ids.all(); }
};

class broken_store final : public slot_store {
public:
    explicit broken_store(bool& broken, std::unique_ptr<slot_store> below)
        : broken_(broken), below_(std::move(below)) {}
    result<utc_time> position(const std::string& e, utc_time t) override {
        if (broken_)
            return failure{errc::unavailable, "away"};
        return below_->position(e, t);
    }
    result<slot_claim> claim(const std::string& e, utc_time t, std::chrono::milliseconds lease,
                             utc_time forgotten) override {
        if (broken_)
            return failure{errc::unavailable, "away"};
        return below_->claim(e, t, lease, forgotten);
    }
    result<void> confirm(const std::string& e, utc_time t) override {
        if (broken_)
            return failure{errc::unavailable, "away"};
        return below_->confirm(e, t);
    }
    result<void> release(const std::string& e, utc_time t) override {
        if (broken_)
            return failure{errc::unavailable, "away"};
        return below_->release(e, t);
    }
    result<std::vector<abandoned_slot>> abandoned() override {
        if (broken_)
            return failure{errc::unavailable, "away"};
        return below_->abandoned();
    }

private:
    bool& broken_;
    std::unique_ptr<slot_store> below_;
};

} // namespace

TEST_CASE("a beat enqueues each job when it is due, under an id that tells its moment") {
    folder files;
    auto half = entry("half", job_schedule::every(30s).value());
    half.expires_after = 10s;
    rig beats({half, entry("hour", cron("0 * * * *"))}, file_in(files));
    const auto start = at("2026-01-01T00:59:10Z");
    CHECK(beats.one->step(start) == start + 5s); // it looks at the clock from time to time
    CHECK(beats.ids().empty());
    CHECK(beats.one->step(at("2026-01-01T00:59:29Z")) == at("2026-01-01T00:59:30Z"));
    beats.one->step(at("2026-01-01T00:59:30.000100Z"));
    CHECK(beats.jobs.expires == at("2026-01-01T00:59:40.000100Z"));
    beats.one->step(at("2026-01-01T00:59:31Z"));
    beats.one->step(at("2026-01-01T01:00:00Z"));
    CHECK(beats.ids() == std::vector<std::string>{"half@2026-01-01T00:59:30.000000Z",
                                                  "half@2026-01-01T01:00:00.000000Z",
                                                  "hour@2026-01-01T01:00:00.000000Z"});
}

TEST_CASE("of the moments that were missed the last is made up for, once") {
    folder files;
    const auto minute = [] { return std::vector{entry("minute", cron("* * * * *"))}; };
    {
        rig beats(minute(), file_in(files));
        beats.one->step(at("2026-01-01T00:00:30Z"));
        beats.one->step(at("2026-01-01T00:01:00Z"));
        CHECK(beats.ids().size() == 1);
    }
    rig beats(minute(), file_in(files));
    beats.one->step(at("2026-01-03T12:34:56Z"));
    beats.one->step(at("2026-01-03T12:34:57Z"));
    CHECK(beats.ids() == std::vector<std::string>{"minute@2026-01-03T12:34:00.000000Z"});
    // a clock that was set back brings nothing twice
    beats.one->step(at("2026-01-03T12:30:00Z"));
    beats.one->step(at("2026-01-03T12:34:30Z"));
    CHECK(beats.ids().size() == 1);
}

TEST_CASE("a clock that jumps ahead brings one job at most, one that is set back none twice") {
    folder files;
    rig beats({entry("minute", cron("* * * * *"))}, file_in(files));
    const auto start = at("2026-01-01T00:00:30Z");
    beats.one->step(start);
    beats.one->step(start + 24h * 400);
    CHECK(beats.ids() == std::vector<std::string>{"minute@2027-02-05T00:00:00.000000Z"});
    beats.one->step(start + 10min); // the mistake is noticed
    beats.one->step(start + 20min);
    CHECK(beats.ids().size() == 1); // nothing until the clock is there again
    beats.one->step(start + 24h * 400 + 1min);
    CHECK(beats.ids().size() == 2);
}

TEST_CASE("what a beat claimed and did not serve is served by another, though later ones were") {
    folder files;
    const auto minute = [] { return std::vector{entry("minute", cron("* * * * *"))}; };
    const auto dead = file_in(files);
    rig beats(minute(), file_in(files));
    auto t = at("2026-01-01T00:00:30Z");
    beats.one->step(t);
    REQUIRE(dead->claim("minute", t + 30s, 200ms, t).value() == slot_claim::granted);
    beats.one->step(t += 30s); // held by the dead one
    CHECK(beats.ids().empty());
    beats.one->step(t += 60s);
    CHECK(beats.ids() == std::vector<std::string>{"minute@2026-01-01T00:02:00.000000Z"});
    for (const auto end = soon(); dead->abandoned().value().empty() && now() < end;)
        std::this_thread::yield();
    beats.one->step(t += 60s);
    beats.one->step(t += 20s);
    auto ids = beats.ids();
    std::sort(ids.begin(), ids.end());
    CHECK(ids == std::vector<std::string>{"minute@2026-01-01T00:01:00.000000Z",
                                          "minute@2026-01-01T00:02:00.000000Z",
                                          "minute@2026-01-01T00:03:00.000000Z"});
}

TEST_CASE("while the queue is away no beat keeps a moment from another that could serve it") {
    folder files;
    const auto minute = [] { return std::vector{entry("minute", cron("* * * * *"))}; };
    rig cut_off(minute(), file_in(files)), other(minute(), file_in(files));
    cut_off.jobs.fails = failure{errc::unavailable, "the broker is away"};
    auto t = at("2026-01-01T00:00:30Z");
    cut_off.one->step(t);
    other.one->step(t);
    cut_off.one->step(t += 30s);
    CHECK(cut_off.ids().empty());
    other.one->step(t);
    CHECK(other.ids() == std::vector<std::string>{"minute@2026-01-01T00:01:00.000000Z"});
    cut_off.jobs.fails = std::nullopt;
    cut_off.one->step(t + 2s);
    CHECK(cut_off.ids().empty());
}

TEST_CASE("a beat that is a little late serves each moment, as after a restart") {
    folder files;
    const auto second = [] {
        return std::vector{entry("second", job_schedule::every(1s).value())};
    };
    const auto start = at("2026-01-01T00:00:00.5Z");
    {
        rig beats(second(), file_in(files));
        beats.one->step(start);
        CHECK(beats.one->step(start + 3s) == start + 3500ms);
        CHECK(beats.ids().size() == 3);
    }
    rig beats(second(), file_in(files));
    CHECK(beats.one->step(start + 12s) == start + 12500ms);
    CHECK(beats.ids().size() == 9);
    CHECK(beats.ids().back() == "second@2026-01-01T00:00:12.000000Z");
    beats.one->step(start + 24s); // the first is too old
    CHECK(beats.ids().size() == 10);
    CHECK(beats.ids().back() == "second@2026-01-01T00:00:24.000000Z");
}

TEST_CASE("several beats serve each moment once") {
    folder files;
    const auto minute = [] { return std::vector{entry("minute", cron("* * * * *"))}; };
    rig a(minute(), file_in(files)), b(minute(), file_in(files));
    const auto start = at("2026-01-01T00:00:30Z");
    for (int i = 0; i < 100; ++i) {
        a.one->step(start + i * 30s);
        b.one->step(start + i * 30s + 10s);
    }
    auto ids = a.ids();
    CHECK(ids.size() == 50); // a is always the first to come
    const auto others = b.ids();
    ids.insert(ids.end(), others.begin(), others.end());
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
    CHECK(ids.size() == 50);
}

TEST_CASE("beats on threads of their own serve each moment once, and none is missed") {
    folder files;
    queue jobs; // of both
    metrics counted;
    std::vector<std::unique_ptr<beat>> beats;
    for (int i = 0; i < 2; ++i) {
        beats.push_back(beat::make({entry("tenth", job_schedule::every(100ms).value())},
                                   file_in(files), jobs.function(), {}, silent_log(), counted)
                            .value());
        beats.back()->start();
    }
    REQUIRE(jobs.ids.wait_count(10));
    for (auto& one : beats)
        one->stop();
    auto ids = jobs.ids.all();
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
}

// Of beats that stop: well below what a broker is waited for, and no measure of the machine.
constexpr auto at_once = 5s;

TEST_CASE("a beat that stops gives up what the queue does not take, and the next one serves it") {
    folder files;
    testing::remembering_log log;
    metrics counted;
    journal<std::string> asked;
    job_queue::receipt late;
    const auto mute = [&](const schedule_entry&, enqueue_options options, job_queue::receipt done) {
        late = std::move(done);
        asked.add(options.id);
    };
    const auto second = [] { return entry("tick", job_schedule::every(1s).value()); };
    auto leaving = beat::make({second()}, file_in(files), mute, {}, log, counted).value();
    leaving->start();
    REQUIRE(asked.wait_count(1));
    const auto begun = now();
    leaving->stop();
    CHECK(now() - begun < at_once);
    const auto id = asked.all().front();
    CHECK(log.count("the job of a schedule was given up") == 1);
    CHECK(log.count("id=" + id) == 1);
    late(id); // nobody waits for it any more
    CHECK(log.count("has enqueued its job") == 0);
    leaving.reset();
    rig next({second()}, file_in(files));
    next.one->step(utc_now());
    CHECK(next.ids().front() == id);
}

TEST_CASE("a beat that stops gives up a store that does not answer") {
    struct mute_store final : slot_store {
        mutable testing::gate asked, given_up;
        failure wait() const {
            asked.open();
            CHECK(given_up.pass());
            return {errc::cancelled, "given up"};
        }
        result<utc_time> position(const std::string&, utc_time) override { return wait(); }
        result<slot_claim> claim(const std::string&, utc_time, std::chrono::milliseconds,
                                 utc_time) override {
            return wait();
        }
        result<void> confirm(const std::string&, utc_time) override { return wait(); }
        result<void> release(const std::string&, utc_time) override { return wait(); }
        result<std::vector<abandoned_slot>> abandoned() override { return wait(); }
        void give_up() override { given_up.open(); }
    };
    auto store = std::make_unique<mute_store>();
    auto& mute = *store;
    testing::remembering_log log;
    metrics counted;
    queue jobs;
    auto leaving = beat::make({entry("tick", job_schedule::every(1s).value())}, std::move(store),
                              jobs.function(), {}, log, counted)
                       .value();
    leaving->start();
    REQUIRE(mute.asked.pass());
    const auto begun = now();
    leaving->stop();
    CHECK(now() - begun < at_once);
    CHECK(log.count("does not answer and is given up") == 1);
    CHECK(log.count("is tried again") == 0);
}

TEST_CASE("what cannot be enqueued or noted now is tried again; what is refused for good is not") {
    folder files;
    bool away = true;
    rig beats({entry("minute", cron("* * * * *"))},
              std::make_unique<broken_store>(away, file_in(files)));
    auto t = at("2026-01-01T00:00:30Z");
    CHECK(beats.one->step(t) == t + 1s);
    away = false;
    beats.one->step(t += 2s);
    away = true;
    t = at("2026-01-01T00:01:00Z");
    CHECK(beats.one->step(t) == t + 1s);
    CHECK(beats.one->step(t + 500ms) == t + 1s);
    CHECK(beats.ids().empty());
    away = false;
    beats.jobs.fails = failure{errc::unavailable, "the broker is away"};
    t += 1s;
    CHECK(beats.one->step(t) == t + 1s);
    beats.jobs.fails = std::nullopt;
    beats.one->step(t += 1s);
    CHECK(beats.ids() == std::vector<std::string>{"minute@2026-01-01T00:01:00.000000Z"});
    beats.jobs.fails = failure{errc::not_found, "no such task"};
    t = at("2026-01-01T00:02:00Z");
    CHECK(beats.one->step(t) == t + 5s);
    beats.jobs.fails = failure{errc::conflict, "the id exists"};
    t += 60s;
    CHECK(beats.one->step(t) == t + 5s);
    beats.jobs.fails = std::nullopt;
    beats.one->step(t + 1s);
    CHECK(beats.ids().size() == 1);
    CHECK(testing::sum_of(beats.counted, "carillon_beat_refused_total") == 1);
}

TEST_CASE("a beat is ready as long as it can serve what is due, or could a short while ago") {
    folder files;
    bool away = false;
    beat_options options;
    options.deaf_after = 0ms;
    rig beats({entry("day", cron("0 0 * * *"))},
              std::make_unique<broken_store>(away, file_in(files)), options);
    CHECK(beats.one->ping());
    auto t = at("2026-01-01T00:00:30Z");
    beats.one->step(t);
    CHECK(beats.one->ping());
    away = true; // noticed although nothing is due for a day
    t += 5s;
    CHECK(beats.one->step(t) == t + 1s);
    CHECK(beats.one->ping().error().code == errc::unavailable);
    CHECK(beats.one->ping().error().message == "schedules cannot be served: away");
    away = false;
    t += 1s;
    CHECK(beats.one->step(t) == t + 5s);
    CHECK(beats.one->ping());
    beats.jobs.fails = failure{errc::unavailable, "the broker is away"};
    t = at("2026-01-02T00:00:00Z");
    beats.one->step(t);
    CHECK(beats.one->ping().error().message == "schedules cannot be served: the broker is away");
    beats.one->step(t + 500ms); // too soon to be tried again
    CHECK_FALSE(beats.one->ping());
    beats.jobs.fails = std::nullopt;
    beats.one->step(t + 2s);
    CHECK(beats.one->ping());
}

TEST_CASE("a beat whose store has failed just now is still ready") {
    folder files;
    bool away = true;
    rig beats({entry("day", cron("0 0 * * *"))},
              std::make_unique<broken_store>(away, file_in(files)));
    beats.one->step(at("2026-01-01T00:00:30Z"));
    CHECK(beats.one->ping());
}

TEST_CASE("a beat that does not look at its schedules any more is not ready") {
    folder files;
    beat_options options;
    options.sleep_max = options.deaf_after = 0ms;
    rig beats({entry("day", cron("0 0 * * *"))}, file_in(files), options);
    for (const auto end = soon(); beats.one->ping() && now() < end;)
        std::this_thread::yield();
    CHECK(beats.one->ping().error().message == "the beat does not look at its schedules any more");
}

TEST_CASE(
    "what a beat added and did not note before it died is not added again to the embedded queue") {
    folder files;
    testing::workshop shop(files.file("data"));
    shop.registry.add("proj.add", [](job_context&, const job_arguments&) { return value(); });
    auto& jobs = shop.open();
    auto one = entry("minute", cron("* * * * *"));
    one.arguments = array{2, 3};
    one.options.queue = "nightly";
    const auto start = at("2026-01-01T00:00:30Z");
    bool away = false;
    metrics counted;
    const auto make = [&] {
        return beat::make(
                   {one}, std::make_unique<broken_store>(away, file_in(files)),
                   [&, into = enqueue_into(jobs)](const auto& e, enqueue_options options,
                                                  job_queue::receipt done) {
                       into(e, std::move(options), [&, done](const result<std::string>& added) {
                           away = true; // from here on nothing can be noted
                           done(added);
                       });
                   },
                   {.lease = 1ms, .retry = 0ms}, silent_log(), counted)
            .value();
    };
    {
        const auto first = make();
        first->step(start);
        first->step(start + 30s);
    }
    away = false;
    const auto second = make();
    auto later = start + 31s;
    for (const auto end = soon(); now() < end && !away;) // until the lease of the first is over
        second->step(later += 1ms);
    REQUIRE(away);
    job_filter all;
    const auto list = jobs.list(all).value();
    REQUIRE(list.size() == 1);
    CHECK(list[0].id == "minute@2026-01-01T00:01:00.000000Z");
    CHECK(list[0].queue == "nightly");
}

TEST_CASE("entries that cannot work are refused") {
    folder files;
    metrics counted;
    queue jobs;
    const auto refused = [&](std::vector<schedule_entry> entries) {
        const auto made = beat::make(std::move(entries), file_in(files), jobs.function(), {},
                                     silent_log(), counted);
        return !made && made.error().code == errc::invalid;
    };
    const auto good = [] { return entry("good", job_schedule::every(1s).value()); };
    CHECK_FALSE(refused({good()}));
    CHECK(refused({good(), good()}));
    auto bad = good();
    bad.name = "";
    CHECK(refused({bad}));
    bad.name = std::string(201, 'x');
    CHECK(refused({bad}));
    bad.name = "a\nb";
    CHECK(refused({bad}));
    bad = good();
    bad.task = "";
    CHECK(refused({bad}));
    bad = good();
    bad.options.id = "fixed";
    CHECK(refused({bad}));
    bad = good();
    bad.options.countdown = 1s;
    CHECK(refused({bad}));
    bad = good();
    bad.expires_after = -1s;
    CHECK(refused({bad}));
}

} // namespace carillon::jobs
