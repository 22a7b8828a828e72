#include "app/operations.hpp"

#include <doctest/doctest.h>

#include "app/health_port.hpp"
#include "app/runtime.hpp"
#include "db/test_folder.hpp"
#include "web/test_client.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::app {

namespace {

using web::test::ask;

class small_site final : public application {
public:
    std::string name() const override { return "small"; }
    std::string version() const override { return "1"; }
    std::string description() const override { return "a site of a test"; }
    routes urls(services&) override { return {}; }
};

// The parts of a process that works on a data folder of its own.
struct process {
    db::testing::folder files;
    settings config;
    metrics counters;
    small_site site;
    std::unique_ptr<runtime> parts;
    readiness ready;

    explicit process(const std::string& health_bind) {
        config.data_dir = files.path;
        config.health_bind = health_bind;
        parts = runtime::start(site, config, silent_log(), counters, nullptr).value();
    }
    services& shared() { return parts->shared(); }
};

std::uint16_t port_of(const health_port& health) {
    auto name = health.address(); // http://HOST:PORT/
    name.pop_back();
    return net::parse_bind_address(name.substr(name.rfind('/') + 1)).value().port;
}

} // namespace

TEST_CASE("a process is ready while each of its parts can be used, and not when it stops") {
    bool here = true;
    readiness ready;
    ready.add("broker", [&here] {
        return here ? result<void>() : failure{errc::unavailable, "it is away"};
    });
    ready.add("beat", [] { return result<void>(); });
    CHECK(ready.answer().status == 200);
    CHECK(ready.answer().body ==
          R"({"status":"ready","checks":{"beat":{"ok":true},"broker":{"ok":true}}})");
    here = false;
    CHECK(ready.answer().status == 503);
    CHECK(ready.answer().body == R"({"status":"not ready","checks":{"beat":{"ok":true},)"
                                 R"("broker":{"ok":false,"message":"it is away"}}})");
    ready.add("broker", [] { return result<void>(); }); // another one takes its place
    CHECK(ready.answer().status == 200);
    ready.leave();
    CHECK(ready.answer().status == 503);
    CHECK(ready.answer().body.find(R"("process":{"ok":false,"message":"it is stopping)") !=
          std::string::npos);
}

TEST_CASE("the health port answers as serve does, whatever host is named") {
    process worker("127.0.0.1:0");
    add_site_checks(worker.ready, worker.shared());
    const health_port health(health_port::listen(worker.config).value(), worker.shared(),
                             worker.ready);
    web::test::client probe(port_of(health));
    CHECK(ask(probe, "GET", "/healthz").body == R"({"status":"alive"})");
    CHECK(ask(probe, "HEAD", "/healthz").status == 200);
    const auto ready = ask(probe, "GET", "/readyz");
    CHECK(ready.status == 200);
    CHECK(ready.body == R"({"status":"ready","checks":{"broker":{"ok":true},)"
                        R"("channel_layer":{"ok":true},"database":{"ok":true}}})");
    const auto counted = ask(probe, "GET", "/metrics");
    CHECK(counted.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
    for (const auto* name : {"\ncarillon_jobs_enqueued_total 0", "\ncarillon_http_requests_total ",
                             "\ncarillon_connections_refused_total 0"})
        CHECK(counted.body.find(name) != std::string::npos);

    const auto missing = ask(probe, "GET", "/");
    CHECK(missing.status == 404);
    CHECK(parse_json(missing.body).value()["error"]["code"].to_text() == "not_found");
    const auto wrong = ask(probe, "DELETE", "/healthz");
    CHECK(wrong.status == 405);
    CHECK(wrong.header("Allow") == "GET, HEAD");

    probe.send("GET /healthz HTTP/1.1\r\nHost: 10.1.2.3:9100\r\n\r\n");
    CHECK(web::test::take_answer(probe).status == 200);
    worker.ready.leave();
    CHECK(ask(probe, "GET", "/readyz").status == 503);
    CHECK(ask(probe, "GET", "/healthz").status == 200);
}

TEST_CASE("without an address nothing listens; one that is taken is refused before work begins") {
    process quiet("");
    const health_port nothing(health_port::listen(quiet.config).value(), quiet.shared(),
                              quiet.ready);
    CHECK(nothing.address().empty());

    const auto taken = net::listener::open({"127.0.0.1", 0, ""}).value();
    quiet.config.health_bind = taken.name();
    const auto second = health_port::listen(quiet.config);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == errc::unavailable);
    CHECK(second.error().message.find(taken.name()) != std::string::npos);
    CHECK(second.error().message.find("choose another address with --health-bind") !=
          std::string::npos);
}

TEST_CASE("a health port may be a unix socket, whose file goes with it") {
    process worker("");
    const auto path = worker.files.path / "health.sock";
    worker.config.health_bind = "unix:" + path.string();
    {
        const health_port health(health_port::listen(worker.config).value(), worker.shared(),
                                 worker.ready);
        CHECK(health.address() == worker.config.health_bind);
        CHECK(std::filesystem::is_socket(path));
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("more connections than probes need are refused and counted") {
    process worker("127.0.0.1:0");
    const health_port health(health_port::listen(worker.config).value(), worker.shared(),
                             worker.ready);
    const auto port = port_of(health);
    std::vector<std::unique_ptr<web::test::client>> open;
    for (int i = 0; i < 64; ++i) {
        open.push_back(std::make_unique<web::test::client>(port));
        CHECK(ask(*open.back(), "GET", "/healthz").status == 200);
    }
    web::test::client one_more(port);
    CHECK(one_more.closed());
    const auto counted = ask(*open.front(), "GET", "/metrics");
    CHECK(counted.body.find("\ncarillon_connections_refused_total 1") != std::string::npos);
}

} // namespace carillon::app
