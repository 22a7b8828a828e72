// Remote control and events with Celery's own tools on RabbitMQ and Redis.
#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "jobs/broker/amqp_broker.hpp"
#include "jobs/broker/redis_broker.hpp"
#include "jobs/broker/test_rabbitmq.hpp"
#include "jobs/control/test_control.hpp"
#include "wire/celery/json.hpp"
#include <carillon/jobs/queue.hpp>
#include <carillon/wire/json.hpp>

namespace carillon::jobs::test_control {

namespace {

using namespace std::chrono_literals;
using net::redis::test::folder;
using net::redis::test::process;
constexpr auto patience = 60s; // Python takes seconds to start on a busy machine

bool no_celery() {
    if (std::filesystem::exists("/usr/lib/python3/dist-packages/celery"))
        return false;
    std::puts("skipped: Debian's python3-celery is not installed");
    return true;
}

std::string content(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// True once the file holds the text, which another program writes.
bool comes(const std::string& path, std::string_view text) {
    const net::unique_fd changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ::inotify_add_watch(changes.get(), std::filesystem::path(path).parent_path().c_str(),
                        IN_MODIFY | IN_CREATE);
    for (const auto end = now() + patience; now() < end;) {
        if (content(path).find(text) != std::string::npos)
            return true;
        pollfd changed{changes.get(), POLLIN, 0};
        ::poll(&changed, 1, 1'000);
        char seen[4096];
        while (::read(changes.get(), seen, sizeof seen) > 0) {
        }
    }
    MESSAGE("without \"" << text << "\": " << content(path));
    return false;
}

// A broker of one kind, and Celery's command line on it.
struct place {
    std::string url;
    std::function<std::unique_ptr<broker>()> open;
    folder files;

    std::unique_ptr<process> start(std::string command, const std::string& output) const {
        const auto line = "cd " + files.file("") + "; exec /usr/bin/python3 -u -m celery -b " +
                          url + " " + std::move(command) + " > " + output + " 2>&1";
        return std::make_unique<process>(std::vector<std::string>{"/bin/sh", "-c", line},
                                         "PATH=/usr/bin:/bin");
    }
    std::string celery(std::string command) const {
        const auto output = files.file("output");
        start(std::move(command), output)->wait();
        return content(output);
    }
    // Runs a script that has `app` and `node`, and gives the JSON that it prints.
    value python(const std::string& script) const {
        std::ofstream(files.file("script.py"))
            << "import json, time\nfrom celery import Celery\napp = Celery(broker='" << url
            << "')\nnode = ['w@here']\n"
            << script;
        const auto output = files.file("output");
        const auto line =
            "exec /usr/bin/python3 " + files.file("script.py") + " > " + output + " 2>&1";
        process({"/bin/sh", "-c", line}, "PATH=/usr/bin:/bin").wait();
        auto read = celery::read_json(content(output));
        if (!read) {
            MESSAGE(content(output));
            return {};
        }
        return *std::move(read);
    }
};

const char* const inspect_script = R"(
i = app.control.inspect(destination=node, timeout=20)
answers, slowest = {}, 0
for name in ('ping', 'active', 'reserved', 'scheduled', 'revoked', 'registered', 'stats',
             'active_queues', 'conf', 'report', 'clock'):
    begun = time.time()
    answers[name] = (getattr(i, name)() or {}).get(node[0])
    slowest = max(slowest, time.time() - begun) if name != 'ping' else slowest
answers['query_task'] = i.query_task(['id-active', 'none'])[node[0]]
answers['slowest'] = slowest
answers['other'] = app.control.inspect(destination=['other@here'], timeout=0.3).ping()
print(json.dumps(answers))
)";

const char* const control_script = R"(
c, a = app.control, {}
def ask(name, *args, **kwargs):
    r = getattr(c, name)(*args, destination=node, reply=True, timeout=20, **kwargs)
    return r[0][node[0]] if len(r) == 1 else r
a['revoke'] = ask('revoke', 'id-x')
a['terminate'] = ask('revoke', 'id-active', terminate=True)
a['rate_limit'] = ask('rate_limit', 'proj.add', '10/m')
a['unknown'] = ask('rate_limit', 'proj.none', '10/m')
a['time_limit'] = ask('time_limit', 'proj.add', hard=20, soft=10)
a['pool_grow'] = ask('pool_grow', 2)
a['pool_shrink'] = ask('pool_shrink', 1)
a['add_consumer'] = ask('add_consumer', 'other')
a['cancel_consumer'] = ask('cancel_consumer', 'other')
a['autoscale'] = ask('autoscale', 10, 2)
a['strange'] = app.control.broadcast('strange', destination=node, reply=True, timeout=20)
app.control.shutdown(destination=node)
print(json.dumps(a))
)";

void check_inspect(const place& at, test_node& node) {
    CHECK(at.celery("inspect -t 5 -d w@here ping").find("w@here: OK") != std::string::npos);
    CHECK(at.celery("status -t 3").find("1 node online") != std::string::npos);
    node.revoked.add({"id-revoked"});
    const auto a = at.python(inspect_script);
    CHECK(a["ping"]["ok"].to_text() == "pong");
    for (const auto* name : {"active", "reserved", "scheduled", "active_queues", "registered"})
        REQUIRE(a[name].is_array());
    CHECK((*a["active"].if_array())[0]["id"].to_text() == "id-active");
    CHECK((*a["reserved"].if_array())[0]["id"].to_text() == "id-reserved");
    CHECK((*a["scheduled"].if_array())[0]["request"]["id"].to_text() == "id-scheduled");
    CHECK((*a["active_queues"].if_array())[0]["name"].to_text() == "celery");
    CHECK(a["revoked"] == value(array{"id-revoked"}));
    CHECK(a["registered"] == value(array{"proj.add", "proj.sleep"}));
    CHECK(a["stats"]["pool"]["max-concurrency"].to_int() == 2);
    CHECK(a["conf"]["worker_concurrency"].to_int() == 2);
    CHECK(a["report"]["ok"].to_text().find("carillon") != std::string::npos);
    CHECK(a["clock"]["clock"].to_int() > 0);
    CHECK(a["query_task"]["id-active"].is_array());
    CHECK(a["other"].is_null());
    MESSAGE("slowest answer: " << a["slowest"].to_double() << " s");
    CHECK(a["slowest"].to_double() < 5);
}

void check_control(const place& at, test_node& node) {
    const auto a = at.python(control_script);
    CHECK(a["revoke"]["ok"].to_text() == "tasks id-x flagged as revoked");
    CHECK(a["terminate"]["ok"].to_text() == "terminate: id-active");
    CHECK(a["rate_limit"]["ok"].to_text() == "new rate limit set successfully");
    CHECK(a["unknown"]["error"].to_text() == "unknown task");
    CHECK(a["time_limit"]["ok"].to_text() == "time limits set successfully");
    CHECK(a["pool_grow"]["ok"].to_text() == "pool will grow");
    CHECK(a["pool_shrink"]["ok"].to_text() == "pool will shrink");
    CHECK(a["add_consumer"]["ok"].to_text() == "add consumer other");
    CHECK(a["cancel_consumer"]["ok"].to_text() == "no longer consuming from other");
    CHECK(a["autoscale"]["error"].to_text() == "ValueError('Autoscale not enabled')");
    REQUIRE(a["strange"].is_array());
    CHECK((*a["strange"].if_array())[0]["w@here"]["error"].to_text() == "KeyError('strange')");
    for (const auto* what : {"revoke id-x", "terminate id-active", "limits 20.000000 10.000000",
                             "grow 2", "grow -1", "consume other", "cancel other", "shutdown"})
        CHECK(node.worker.was_told(what));
}

void check_events(const place& at) {
    const auto output = at.files.file("events");
    auto dump = at.start("events --dump", output);
    {
        test_node node("ev@here", at.open());
        REQUIRE(comes(output, "heartbeat: active=1"));
        node.events->set_task_events(true);
        celery::message m;
        m.task = "proj.add";
        m.id = "8a7f5e0c-0000-4000-8000-000000000001";
        m.args = array{2, 3};
        node.events->received(m);
        node.events->started(m.id);
        node.events->succeeded(m.id, 5, 12ms);
        CHECK(comes(output, "task succeeded"));
    }
    CHECK(comes(output, "shutdown"));
    dump->end(SIGTERM);
    const auto all = content(output);
    CHECK(all.find("task received: proj.add(8a7f5e0c-0000-4000-8000-000000000001)") !=
          std::string::npos);
    CHECK(all.find("task started: proj.add(8a7f5e0c-0000-4000-8000-000000000001)") !=
          std::string::npos);
}

// Asks all again until one of them says it.
bool comes_up(control_console& by, const char* method, std::string_view text) {
    const auto says = [&](const node_answer<value>& answer) {
        return answer.second && to_json(*answer.second).find(text) != std::string::npos;
    };
    for (const auto end = now() + patience; now() < end;)
        if (const auto answers = by.ask(method); std::ranges::any_of(answers, says))
            return true;
    return false;
}

// What two workers of Python do when this side tells them to.
void check_controller(const place& at, control_console& by) {
    job_registry none;
    job_queue_options options;
    options.broker = at.url;
    auto queue = job_queue::open(options, {none}).value();
    const auto both_say = [&](const char* method, object arguments, std::string_view what) {
        const auto answers = by.control(method, std::move(arguments));
        CHECK(answers.size() == 2);
        for (const auto& each : answers) {
            const auto& answer = each.second;
            const auto said = answer ? *answer : "error: " + answer.error().message;
            CHECK_MESSAGE(said == what, each.first);
        }
    };
    enqueue_options later, other;
    later.countdown = 2s;
    const auto planned = queue->enqueue("proj.nap", {array{0}}, later).value();
    REQUIRE(comes_up(by, "scheduled", planned));
    both_say("revoke", {{"task_id", planned}}, "tasks " + planned + " flagged as revoked");
    CHECK(queue->wait(planned, now() + patience).value().state == job_state::cancelled);

    const auto running = queue->enqueue("proj.nap", {array{300}}).value();
    REQUIRE(comes_up(by, "active", running));
    CHECK(by.revoke({running}, true).size() == 2);
    const auto ended = queue->wait(running, now() + patience).value();
    CHECK(ended.state == job_state::cancelled);
    CHECK(ended.message.find("terminated") != std::string::npos);

    const value task = "proj.nap";
    both_say("rate_limit", {{"task_name", task}, {"rate_limit", "10/m"}},
             "new rate limit set successfully");
    CHECK(comes_up(by, "registered", "proj.nap [rate_limit=10/m]"));
    both_say("time_limit", {{"task_name", task}, {"hard", 100}, {"soft", 50}},
             "time limits set successfully");
    both_say("pool_grow", {{"n", 1}}, "pool will grow");
    // A pool whose processes are all busy, or not there yet, refuses to shrink.
    const auto have_two = [&] {
        return std::ranges::all_of(by.stats(), [](const auto& answer) {
            return answer.second && answer.second->processes.size() >= 2;
        });
    };
    const auto end = now() + patience;
    while (!have_two() && now() < end) {
    }
    both_say("pool_shrink", {{"n", 1}}, "pool will shrink");
    other.queue = "other";
    both_say("add_consumer", {{"queue", "other"}}, "add consumer other");
    CHECK(queue->wait(queue->enqueue("proj.add", {array{2, 3}}, other).value(), now() + patience)
              .value()
              .result == value(5));
    both_say("cancel_consumer", {{"queue", "other"}}, "no longer consuming from other");
}

// Python workers that start next to a node exchange revoked ids with it; a controller sees all.
void check_python_workers(const place& at, test_node& node) {
    const bool on_redis = at.url.starts_with("redis");
    std::ofstream(at.files.file("proj.py"))
        << "import time\nfrom celery import Celery\n"
           "app = Celery('proj', broker='"
        << at.url << "', backend='" << (on_redis ? at.url : "rpc://")
        << "')\n"
           "@app.task\n"
           "def add(a, b):\n    return a + b\n"
           "@app.task\n"
           "def nap(seconds):\n    time.sleep(seconds)\n";
    const auto output = at.files.file("worker"), second_output = at.files.file("second");
    auto worker = at.start("-A proj worker -c 1 -n py@here -l INFO", output);
    auto second = at.start("-A proj worker -c 1 -n second@here -l INFO", second_output);
    REQUIRE(comes(output, "py@here ready"));
    REQUIRE(comes(second_output, "second@here ready"));
    CHECK(content(output).find("sync with ") != std::string::npos);
    CHECK(content(output).find("ERROR") == std::string::npos);
    auto opened = control_console::open(at.open(), 20s);
    REQUIRE(opened);
    auto& by = **opened;
    by.patience = 20s;
    by.target.nodes = std::vector<std::string>{"py@here", "w@here"};
    CHECK(by.ping() == std::vector<std::string>{"py@here", "w@here"});
    by.target.nodes = std::vector<std::string>{"py@here"};
    auto registered = by.registered();
    REQUIRE(registered.size() == 1);
    CHECK(*registered[0].second == std::vector<std::string>{"proj.add", "proj.nap"});
    const auto stats = by.stats();
    REQUIRE(stats.size() == 1);
    CHECK(stats[0].second->broker_transport.size() >= 4);
    const auto queues = by.queues();
    REQUIRE(queues.size() == 1);
    CHECK(queues[0].second->at(0).name == "celery");
    CHECK(by.active().at(0).second->empty());
    CHECK(*by.revoke({"id-a"}, false).at(0).second == "tasks id-a flagged as revoked");
    const auto revoked = by.ask("revoked");
    REQUIRE(revoked.size() == 1);
    const auto& ids = *revoked[0].second->if_array();
    CHECK(std::find(ids.begin(), ids.end(), value("id-a")) != ids.end());
    CHECK(std::find(ids.begin(), ids.end(), value("id-revoked")) != ids.end()); // of mingle
    CHECK(*by.control("rate_limit", object{{"task_name", "proj.add"}, {"rate_limit", "1/s"}})
               .at(0)
               .second == "new rate limit set successfully");
    CHECK_FALSE(by.control("no_such", {}).at(0).second.has_value());
    by.target.nodes = std::vector<std::string>{"py@here", "second@here"};
    CHECK(by.ping() == *by.target.nodes);
    check_controller(at, by);
    // asks for no answer
    by.patience = 0ms;
    by.control("shutdown", {});
    CHECK(worker->wait() == 0);
    CHECK(second->wait() == 0);
    CHECK(node.clock.read() > 0);
}

void check_all(const place& at) {
    {
        test_node node("w@here", at.open());
        REQUIRE(node.ups.wait_count(1));
        check_inspect(at, node);
        check_control(at, node);
        check_python_workers(at, node);
    }
    check_events(at);
}

} // namespace

TEST_CASE("Celery's tools and a node understand each other on RabbitMQ") {
    if (no_celery() || amqp::test::no_rabbitmq())
        return;
    amqp::test::rabbitmq server;
    metrics counted;
    broker_options options;
    options.url = server.url();
    check_all({server.url(),
               [&] { return open_amqp_broker(options, silent_log(), counted).value(); },
               {}});
}

TEST_CASE("Celery's tools and a node understand each other on Redis") {
    if (no_celery() || net::redis::test::no_redis())
        return;
    net::redis::test::server server;
    metrics counted;
    broker_options options;
    options.url = server.url() + "/0";
    check_all(
        {options.url, [&] { return open_broker(options, silent_log(), counted).value(); }, {}});
}

} // namespace carillon::jobs::test_control
