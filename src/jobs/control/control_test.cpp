#include <doctest/doctest.h>

#include "base/uuid.hpp"
#include "jobs/control/test_control.hpp"
#include "wire/celery/json.hpp"

namespace carillon::jobs::test_control {

namespace {

using namespace std::chrono_literals;

std::unique_ptr<broker> on(loopback_hub& hub) { return std::make_unique<loopback_broker>(hub); }

std::unique_ptr<control_console> console(loopback_hub& hub) {
    return control_console::open(on(hub), 5s).value();
}

// The answer of the one node, as JSON.
std::string asked(control_console& by, std::string method, object arguments = {}) {
    by.target.nodes = std::vector<std::string>{"w@here"};
    by.patience = 20s;
    const auto answers = by.ask(std::move(method), std::move(arguments));
    if (answers.size() != 1)
        return "answers: " + std::to_string(answers.size());
    const auto& content = answers.front().second;
    return content ? celery::write_json(*content) : "error: " + content.error().message;
}

celery::control_request request(std::string method) {
    celery::control_request out;
    out.method = std::move(method);
    return out;
}

bool is_event(const loopback_hub::emitted& one, std::string_view type) {
    const auto read = celery::decode_events(one.parts);
    return one.exchange == celery::event_exchange && read && read->front().type == type;
}

std::size_t count_of(const std::vector<loopback_hub::emitted>& all, std::string_view type) {
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const auto& one) { return is_event(one, type); }));
}

} // namespace

TEST_CASE("a node answers what operators ask about its jobs, in Celery's shapes") {
    loopback_hub hub;
    test_node node("w@here", on(hub));
    const auto by = console(hub);
    CHECK(asked(*by, "ping") == R"({"ok":"pong"})");
    CHECK(
        asked(*by, "active")
            .starts_with(
                R"([{"id":"id-active","name":"proj.sleep","args":[2,"x"],"kwargs":{"deep":true})"));
    CHECK(asked(*by, "active", object{{"safe", true}})
              .find(R"x("args":"(2, 'x')","kwargs":"{'deep': True}")x") != std::string::npos);
    CHECK(asked(*by, "dump_reserved").starts_with(R"([{"id":"id-reserved")"));
    CHECK(asked(*by, "scheduled")
              .starts_with(
                  R"([{"eta":"2026-11-20T05:42:19+00:00","priority":6,"request":{"id":"id-sch)"));
    CHECK(asked(*by, "query_task", object{{"ids", array{"id-active", "id-reserved", "other"}}})
              .starts_with(R"({"id-active":["active",{"id":"id-active")"));
    CHECK(asked(*by, "query_task", object{{"ids", "other"}}) == "{}");
    CHECK(asked(*by, "registered") == R"(["proj.add","proj.sleep"])");
    CHECK(asked(*by, "conf") == R"({"worker_concurrency":2})");
    CHECK(asked(*by, "report") == R"({"ok":"software -> carillon"})");
    CHECK(asked(*by, "active_queues").starts_with(R"([{"name":"celery","exchange":{)"));
    const auto stats = by->stats();
    REQUIRE(stats.size() == 1);
    CHECK(stats[0].second->concurrency == 2);
    CHECK(stats[0].second->clock > 0);
}

TEST_CASE("what a node is told to do reaches its worker, and the answers are Celery's") {
    loopback_hub hub;
    test_node node("w@here", on(hub));
    const auto by = console(hub);
    CHECK(asked(*by, "revoke", object{{"task_id", array{"a", "b"}}}) ==
          R"({"ok":"tasks a, b flagged as revoked"})");
    CHECK(node.revoked.contains("b"));
    CHECK(asked(*by, "revoked") == R"(["a","b"])");
    CHECK(asked(*by, "revoke", object{{"task_id", "c"}, {"terminate", true}}) ==
          R"({"ok":"terminate: tasks unknown"})");
    CHECK(asked(*by, "terminate", object{{"task_id", "id-active"}, {"signal", "KILL"}}) ==
          R"({"ok":"terminate: id-active"})");
    CHECK(node.worker.was_told("terminate id-active"));
    const auto rate = [&](std::string task, value limit) {
        return asked(*by, "rate_limit", object{{"task_name", task}, {"rate_limit", limit}});
    };
    CHECK(rate("proj.add", "10/m") == R"({"ok":"new rate limit set successfully"})");
    CHECK(asked(*by, "registered") == R"(["proj.add [rate_limit=10/m]","proj.sleep"])");
    CHECK(asked(*by, "registered", object{{"taskinfoitems", array{"exchange"}}}) ==
          R"(["proj.add","proj.sleep"])");
    CHECK(rate("proj.add", "10/x").starts_with("error: Invalid rate limit string"));
    CHECK(rate("proj.add", 0) == R"({"ok":"rate limit disabled successfully"})");
    CHECK(rate("proj.none", "1/s") == "error: unknown task");
    CHECK(asked(*by, "time_limit", object{{"task_name", "proj.add"}, {"hard", 20}, {"soft", 10}}) ==
          R"({"ok":"time limits set successfully"})");
    CHECK(node.worker.was_told("limits 20.000000 10.000000"));
    CHECK(asked(*by, "pool_grow") == R"({"ok":"pool will grow"})");
    CHECK(asked(*by, "pool_shrink", object{{"n", 2}}) == R"({"ok":"pool will shrink"})");
    CHECK(node.worker.was_told("grow 1"));
    CHECK(node.worker.was_told("grow -2"));
    CHECK(asked(*by, "pool_grow", object{{"n", 1'000}}) == "error: too many threads");
    CHECK(asked(*by, "pool_grow", object{{"n", "many"}}).starts_with("error: ValueError"));
    CHECK(rate("proj.add", "0/m") == R"({"ok":"rate limit disabled successfully"})");
    CHECK(asked(*by, "add_consumer", object{{"queue", "q"}}) == R"({"ok":"add consumer q"})");
    CHECK(asked(*by, "cancel_consumer", object{{"queue", "q"}}) ==
          R"({"ok":"no longer consuming from q"})");
    CHECK(asked(*by, "add_consumer").starts_with("error: "));
    CHECK(asked(*by, "enable_events") == R"({"ok":"task events enabled"})");
    CHECK(asked(*by, "enable_events") == R"({"ok":"task events already enabled"})");
    CHECK(asked(*by, "disable_events") == R"({"ok":"task events disabled"})");
    CHECK(asked(*by, "autoscale").starts_with("error: ValueError"));
    CHECK(asked(*by, "no 'such' thing") == R"x(error: KeyError("no 'such' thing"))x");
    controller& tells = *node.asks;
    tells.tell("shutdown", {}, {});
    CHECK(node.worker.was_told("shutdown"));
}

TEST_CASE("only the nodes that are meant answer") {
    loopback_hub hub;
    test_node a("a@here", on(hub)), b("b@there", on(hub));
    const auto by = console(hub);
    by->patience = 200ms;
    CHECK(by->ping() == std::vector<std::string>{"a@here", "b@there"});
    by->target.pattern = "*@there";
    CHECK(by->ping() == std::vector<std::string>{"b@there"});
    by->target = {};
    by->target.nodes = std::vector<std::string>{"other"};
    CHECK(by->ping().empty());
    by->patience = 20s;
    by->target.nodes = std::vector<std::string>{"a@here"};
    const auto begun = now();
    CHECK(by->ping() == std::vector<std::string>{"a@here"});
    CHECK(now() - begun < 10s); // it does not wait when all have answered
}

TEST_CASE("hello exchanges revoked ids and clocks, but not with itself") {
    loopback_hub hub;
    test_node node("w@here", on(hub));
    const auto by = console(hub);
    node.revoked.add({"mine"});
    node.clock.seen(500);
    const auto answer = asked(*by, "hello",
                              object{{"from_node", "other@there"},
                                     {"revoked", object{{"theirs", array{12.5, "theirs"}}}}});
    CHECK(answer.starts_with(R"({"revoked":{"mine":[)"));
    CHECK(node.revoked.contains("theirs"));
    CHECK(node.worker.was_told("revoke theirs"));
    CHECK(asked(*by, "hello", object{{"from_node", "w@here"}}) == "null");
    const auto read = celery::read_json(asked(*by, "clock")).value();
    CHECK(read["clock"].to_int() > 500);
}

TEST_CASE(
    "requests that are late, broken, or answered elsewhere do nothing, and the node goes on") {
    loopback_hub hub;
    test_node node("w@here", on(hub));
    const auto by = console(hub);
    auto late = request("revoke");
    late.arguments = object{{"task_id", "late"}};
    late.expires = std::chrono::duration<double>((utc_now() - 60s).time_since_epoch()).count();
    node.on_control(celery::encode_request(late));
    // over, but not by more than clocks may differ
    auto skewed = request("revoke");
    skewed.arguments = object{{"task_id", "skewed"}};
    skewed.expires = std::chrono::duration<double>((utc_now() - 5s).time_since_epoch()).count();
    node.on_control(celery::encode_request(skewed));
    celery::message_parts broken;
    broken.body = "{";
    node.on_control(broken);
    auto pattern = request("revoke");
    pattern.arguments = object{{"task_id", "pcre"}};
    pattern.pattern = "(a+)+$";
    pattern.matcher = "pcre";
    node.on_control(celery::encode_request(pattern));
    auto elsewhere = request("ping");
    elsewhere.ticket = "t";
    elsewhere.reply_exchange = "amq.topic";
    elsewhere.reply_routing_key = "somebody";
    node.on_control(celery::encode_request(elsewhere));
    CHECK(asked(*by, "ping") == R"({"ok":"pong"})");
    CHECK_FALSE(node.revoked.contains("late"));
    CHECK(node.revoked.contains("skewed"));
    CHECK_FALSE(node.revoked.contains("pcre"));
    CHECK(node.metric("carillon_control_requests_dropped_total") == 3);
    for (const auto& one : hub.all.all())
        CHECK(one.exchange != "amq.topic");
}

TEST_CASE("a flood of requests is carried out a bounded number of times a second") {
    loopback_hub hub;
    control_options options;
    options.per_second = 5;
    options.waiting_max = 8;
    test_node node("w@here", on(hub), options);
    const auto begun = now();
    auto one = request("add_consumer");
    one.arguments = object{{"queue", "q"}};
    for (int i = 0; i < 1'000; ++i)
        node.on_control(celery::encode_request(one));
    REQUIRE(node.worker.told.wait_count(6));
    CHECK(now() - begun >= 900ms);
    CHECK(node.metric("carillon_control_requests_dropped_total") >= 980);
    CHECK(node.worker.told.all().size() <= 20);
}

TEST_CASE("a node tells that it is online, that it lives, and that it leaves") {
    loopback_hub hub;
    event_options often;
    often.heartbeat = 20ms;
    {
        test_node node("w@here", on(hub), {}, often);
        REQUIRE(
            hub.all.wait([](const auto& all) { return count_of(all, "worker-heartbeat") >= 3; }));
        node.on_down({});
        const auto before = count_of(hub.all.all(), "worker-heartbeat");
        node.on_up();
        REQUIRE(hub.all.wait([&](const auto& all) {
            return count_of(all, "worker-online") == 2 &&
                   count_of(all, "worker-heartbeat") > before;
        }));
    }
    const auto all = hub.all.all();
    CHECK(is_event(all.front(), "worker-online"));
    CHECK(all.front().routing_key == "worker.online");
    CHECK(is_event(all.back(), "worker-offline"));
    const auto heartbeat = celery::decode_events(all.back().parts).value().front();
    CHECK(heartbeat.hostname == "w@here");
    CHECK(heartbeat.pid == ::getpid());
    CHECK(heartbeat.fields.find("freq")->to_double() == 0.02);
    CHECK(heartbeat.fields.find("active")->to_int() == 1);
    CHECK(heartbeat.fields.find("processed")->to_int() == 3);
    CHECK(heartbeat.fields.find("sw_ident")->to_text() == "carillon");
    std::int64_t clock = 0;
    for (const auto& one : all)
        for (const auto& e : celery::decode_events(one.parts).value()) {
            CHECK(e.clock > clock);
            clock = e.clock;
        }
}

TEST_CASE("task events are sent only when wanted, in lists of at most 24, in order") {
    loopback_hub hub;
    test_node node("w@here", on(hub));
    node.events->started("unwanted");
    node.events->set_task_events(true);
    celery::message m;
    m.task = "proj.add";
    m.id = "id0";
    m.args = array{2, 3};
    node.events->received(m);
    node.events->started("id0");
    node.events->succeeded("id0", 5, 1500ms);
    node.events->failed("id1", "ValueError('x')", std::string(100'000, 'x'));
    node.events->retried("id1", "ValueError('x')", "");
    node.events->revoked("id2", true, 15, false);
    node.events->rejected("id3", false);
    for (int i = 0; i < 100; ++i)
        node.events->started("many" + std::to_string(i));
    node.stop();
    std::vector<celery::event> seen;
    for (const auto& one : hub.all.all()) {
        if (one.routing_key != "task.multi")
            continue;
        const auto list = celery::decode_events(one.parts).value();
        CHECK(list.size() <= 24);
        seen.insert(seen.end(), list.begin(), list.end());
    }
    REQUIRE(seen.size() == 107);
    CHECK(seen[0].type == "task-received");
    CHECK(seen[0].fields.find("args")->to_text() == "(2, 3)");
    CHECK(seen[2].type == "task-succeeded");
    CHECK(seen[2].fields.find("result")->to_text() == "5");
    CHECK(seen[2].fields.find("runtime")->to_double() == 1.5);
    CHECK(seen[3].fields.find("traceback")->to_text().size() == event_text_max);
    CHECK(seen[5].fields.find("signum")->to_int() == 15);
    CHECK(seen[106].fields.find("uuid")->to_text() == "many99");
    for (std::size_t i = 1; i < seen.size(); ++i)
        CHECK(seen[i].clock > seen[i - 1].clock);
}

TEST_CASE("events wait while the broker is away, up to a bound, and what is too much is counted") {
    loopback_hub hub;
    event_options few;
    few.task_events = true;
    few.waiting_max = 10;
    test_node node("w@here", on(hub), {}, few);
    REQUIRE(hub.all.wait([](const auto& all) { return count_of(all, "worker-online") == 1; }));
    node.on_down({});
    for (int i = 0; i < 25; ++i)
        node.events->started("id" + std::to_string(i));
    CHECK(node.metric("carillon_job_events_dropped_total") == 15);
    CHECK(count_of(hub.all.all(), "task-started") == 0);
    node.on_up();
    REQUIRE(hub.all.wait([](const auto& all) { return count_of(all, "task-started") == 1; }));
    const auto all = hub.all.all();
    CHECK(celery::decode_events(all.back().parts).value().size() == 10);
}

TEST_CASE("rates are read as Celery reads them") {
    const auto rate = [](const value& text) { return parse_rate(text).value(); };
    CHECK(rate("10/s") == 10.0);
    CHECK(rate("120/m") == 2.0);
    CHECK(rate("3600/h") == 1.0);
    CHECK(rate("0.5") == 0.5);
    CHECK(rate(7) == 7.0);
    for (const value& none : {value(), value(""), value(0), value("0/m")})
        CHECK_FALSE(rate(none).has_value());
    for (const value& bad :
         {value("10/d"), value("x"), value("-1/s"), value("1/s "), value("/s"), value("nan"),
          value("inf"), value("1e-30/h"), value(array()), value(-3)})
        CHECK_FALSE(parse_rate(bad).has_value());
}

TEST_CASE("a task with a rate starts once in its interval, and others as often as they like") {
    rate_limits limits;
    const auto start = now();
    REQUIRE(limits.set("slow", "2/s"));
    CHECK(limits.take("slow", start) == 0ns);
    CHECK(limits.take("slow", start + 100ms) == 400ms);
    CHECK(limits.take("slow", start + 500ms) == 0ns);
    CHECK(limits.take("slow", start + 3s) == 0ns); // time that was not used is not saved
    CHECK(limits.take("slow", start + 3s) == 500ms);
    CHECK(limits.take("quick", start) == 0ns);
    CHECK(limits.take("quick", start) == 0ns);
    CHECK_FALSE(limits.set("slow", "2/day"));
    CHECK(limits.text_of("slow") == "2/s");
    REQUIRE(limits.set("slow", value()));
    CHECK(limits.take("slow", start + 3s) == 0ns);
    CHECK(limits.text_of("slow") == "");
}

} // namespace carillon::jobs::test_control
