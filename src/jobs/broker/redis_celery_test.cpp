#include <algorithm>
#include <map>

#include <doctest/doctest.h>

#include "jobs/broker/redis_context.hpp"
#include "jobs/broker/result_store.hpp"
#include "jobs/broker/test_redis_broker.hpp"
#include "wire/celery/envelope.hpp"

namespace carillon::jobs::test {

namespace {

constexpr std::string_view project = R"(
import os
from celery import Celery
app = Celery('proj', broker=os.environ['REDIS'], backend=os.environ['REDIS'])

@app.task(name='proj.add')
def add(x, y):
    return x + y

@app.task(name='proj.fail')
def fail():
    raise ValueError('boom')
)";

// Exits with 0 where each answer is the right one.
constexpr std::string_view caller = R"(
import proj
both = [proj.add.delay(n, 3) for n in range(20)]
assert [r.get(timeout=20) for r in both] == [n + 3 for n in range(20)]
try:
    proj.fail.delay().get(timeout=20)
except ValueError as e:
    assert e.args == ('boom',), e.args
else:
    assert False
later = proj.add.apply_async((1, 1), countdown=600)
assert later.state == 'PENDING'
)";

bool no_celery() {
    if (no_redis())
        return true;
    if (std::filesystem::exists("/usr/lib/python3/dist-packages/celery"))
        return false;
    std::puts("skipped: Debian's celery is not installed");
    return true;
}

class python {
public:
    explicit python(const std::string& url) : url_(url) {
        std::ofstream(folder_.file("proj.py")) << project;
        std::ofstream(folder_.file("caller.py")) << caller;
    }
    net::redis::test::process start(std::vector<std::string> arguments) {
        std::vector<std::string> all{"/usr/bin/env",
                                     "-C",
                                     folder_.file(""),
                                     "REDIS=" + url_,
                                     "PYTHONPATH=" + folder_.file(""),
                                     "C_FORCE_ROOT=1",
                                     "/usr/bin/python3"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        return net::redis::test::process(all, "PATH=/usr/bin:/bin");
    }
    net::redis::test::process start_worker() {
        return start({"-m", "celery", "-A", "proj", "worker", "-P", "solo", "-l", "ERROR",
                      "--without-gossip", "--without-mingle"});
    }

private:
    net::redis::test::folder folder_;
    std::string url_;
};

result_options results_at(const std::string& url) {
    result_options out;
    out.url = url;
    return out;
}

} // namespace

TEST_CASE("Celery's worker runs what is published here, and its results are heard") {
    if (no_celery())
        return;
    server redis;
    python there(redis.url() + "/0");
    const auto worker = there.start_worker();
    receiver at(options_for(redis.url()));
    at.start();
    metrics counted;
    auto results = open_results(results_at(redis.url()), nullptr, silent_log(), counted).value();
    std::promise<celery::result_record> sum, error;
    std::promise<void> ready[2];
    results->watch(
        "sum", [&](const auto& r) { sum.set_value(r); },
        [&](const auto&) { ready[0].set_value(); });
    results->watch(
        "error", [&](const auto& r) { error.set_value(r); },
        [&](const auto&) { ready[1].set_value(); });
    for (auto& one : ready)
        one.get_future().wait();
    REQUIRE(at.publish("celery", parts_of("proj.add", {2, 3}, 0, "sum")));
    REQUIRE(at.publish_at(utc_now() + 300ms, "celery", parts_of("proj.fail", {}, 5, "error")));
    const auto added = sum.get_future().get();
    CHECK(added.status == "SUCCESS");
    CHECK(added.outcome == value(5));
    const auto failed = error.get_future().get();
    CHECK(failed.status == "FAILURE");
    CHECK(failed.outcome["exc_type"] == value("ValueError"));
    CHECK(failed.outcome["exc_message"] == value(array{"boom"}));
}

TEST_CASE("Celery's worker takes over what a process of ours left behind") {
    if (no_celery())
        return;
    server redis;
    python there(redis.url() + "/0");
    // as the take script leaves it
    celery::envelope e{parts_of("proj.add", {2, 2}, 0, "left"), "", "celery", "tag", false, {}};
    const auto element = celery::encode_envelope(e).value();
    ask(redis.url(),
        {"HSET", "unacked", make_uuid() + ".1", "[" + element + jobs::redis::entry_end("celery")});
    ask(redis.url(), {"ZADD", "unacked_index", "1000.5",
                      ask(redis.url(), {"HKEYS", "unacked"}).items.at(0).text});
    const auto worker = there.start_worker();
    CHECK(becomes(redis.url(), {"EXISTS", "celery-task-meta-left"}, 1));
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked", "unacked_index"}, 0));
}

TEST_CASE("what Celery's client sends arrives here, and it gets the results that are put here") {
    if (no_celery())
        return;
    server redis;
    python there(redis.url() + "/0");
    metrics counted;
    auto results = open_results(results_at(redis.url()), nullptr, silent_log(), counted).value();
    receiver at(options_for(redis.url()));
    at.handle = [&](broker& b, const delivery& d) {
        const auto m = celery::decode(d.parts.headers, d.parts.properties, d.parts.body).value();
        if (m.eta)
            return b.delay(d.tag, *m.eta);
        celery::result_record r;
        r.task_id = m.id;
        r.status = m.task == "proj.add" ? "SUCCESS" : "FAILURE";
        r.date_done = utc_now();
        if (m.task == "proj.add")
            r.outcome = m.args.at(0).to_int() + m.args.at(1).to_int();
        else
            r.outcome = object{{"exc_type", "ValueError"},
                               {"exc_message", array{"boom"}},
                               {"exc_module", "builtins"}};
        results->put(std::move(r), m.reply_to, m.correlation_id,
                     [&b, tag = d.tag](const auto& outcome) {
                         if (outcome)
                             b.ack(tag);
                     });
    };
    at.start();
    at->consume({"celery"}, 4);
    auto client = there.start({"caller.py"});
    CHECK(client.wait() == 0);
    CHECK(at.wait_count(22));
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked", "unacked_index"}, 0));
    CHECK(ask(redis.url(), {"ZCARD", "carillon:delayed"}).number == 1);
    results.reset(); // its thread may be inside a call of the broker
}

TEST_CASE("Celery's worker and this one share a queue: each message is taken by one of them") {
    if (no_celery())
        return;
    server redis;
    python there(redis.url() + "/0");
    receiver at(options_for(redis.url()));
    at.start();
    REQUIRE(at.publish("celery", parts_of("proj.add", {1, 1}, 0, "first")));
    const auto worker = there.start_worker();
    REQUIRE(becomes(redis.url(), {"EXISTS", "celery-task-meta-first"}, 1)); // it works
    at->consume({"celery"}, 4);
    std::vector<std::string> ids;
    for (int i = 0; i < 300; ++i) {
        auto parts = parts_of("proj.add", {i, i});
        ids.push_back(id_of(parts));
        REQUIRE(at.publish("celery", std::move(parts)));
    }
    CHECK(becomes(redis.url(), {"EXISTS", "celery", "unacked"}, 0));
    std::map<std::string, int> done;
    for (const auto& d : at.now_seen().deliveries)
        ++done[id_of(d.parts)];
    const auto here = done.size();
    for (const auto& id : ids)
        if (ask(redis.url(), {"EXISTS", "celery-task-meta-" + id}).number == 1)
            ++done[id];
    CHECK(done.size() == 300);
    CHECK(std::ranges::all_of(done, [](const auto& one) { return one.second == 1; }));
    MESSAGE("here " << here << ", there " << done.size() - here);
}

} // namespace carillon::jobs::test
