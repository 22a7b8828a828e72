// HTTP as a client sees it: keep-alive, pipelining, bodies, time limits, errors.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "web/test_server.hpp"
#include <carillon/net/waits.hpp>

using namespace carillon;
using namespace carillon::web::test;

namespace {

task<response> later(request& asked) {
    auto waiting = carillon::pause(std::chrono::milliseconds(1));
    co_await waiting;
    co_return text_response("later " + asked.kwarg("n"));
}

// Counts the bytes of a streamed body, with a blocking call between any two pieces.
task<response> count_slowly(request& asked) {
    std::uint64_t bytes_seen = 0;
    for (;;) {
        auto next = asked.stream->next();
        const auto piece = co_await std::move(next);
        if (piece.empty())
            break;
        bytes_seen += piece.size();
        auto slow = blocking([] {});
        co_await slow;
    }
    co_return text_response(std::to_string(bytes_seen));
}

task<response> answer_before_the_body(request&) { co_return text_response("no, thank you"); }

response throws_known(request&) { throw error(errc::conflict, "the bed is taken"); }
response throws_unknown(request&) { throw std::runtime_error("secret detail"); }

routes table() {
    return {
        get("/", [](request&) { return text_response("root"); }),
        get("/now/<int:n>",
            [](request& asked) { return text_response("now " + asked.kwarg("n")); }),
        get("/later/<int:n>", later),
        post("/echo/", [](request& asked) { return text_response(asked.body); }),
        post("/small/", [](request& asked) { return text_response(asked.body); }).max_body(10),
        post("/count/", count_slowly).stream_body().max_body(64u << 20),
        post("/early/", answer_before_the_body).stream_body().max_body(64u << 20),
        get("/known/", throws_known),
        get("/unknown/", throws_unknown),
        get("/thread/", on_thread([](request& asked) {
                return text_response(std::string(asked.header("x-word")));
            })),
        get("/thread/throws/",
            on_thread([](request&) -> response { throw error(errc::not_found, "nothing there"); })),
        get("/empty/",
            [](request&) {
                response nothing;
                nothing.status = 204;
                return nothing;
            }),
        get("/evil/",
            [](request&) {
                return text_response("x")
                    .with("X-A", "1\r\nX-Evil: 1")
                    .with("X-B", "2")
                    .with("content-length", "3");
            }),
        get("/start/", [](request&) { return text_response("started"); }).changes_state(),
        websocket<consumer>("/ws/"),
    };
}

std::string chunked(std::string_view content, std::size_t size) {
    std::string made;
    for (std::size_t at = 0; at < content.size(); at += size) {
        const auto piece = content.substr(at, size);
        char length[20];
        std::snprintf(length, sizeof length, "%zx\r\n", piece.size());
        made += std::string(length) + std::string(piece) + "\r\n";
    }
    return made + "0\r\n\r\n";
}

} // namespace

TEST_CASE("a connection serves one request after the other") {
    test_server server(table());
    client browser(server.port());
    for (int i = 0; i < 3; ++i) {
        CHECK(ask(browser, "GET", "/").body == "root");
        CHECK(ask(browser, "GET", "/later/" + std::to_string(i)).body ==
              "later " + std::to_string(i));
        CHECK(ask(browser, "POST", "/echo/", {}, "hello").body == "hello");
    }
}

TEST_CASE("pipelined requests are answered in their order, those that wait too") {
    test_server server(table());
    client browser(server.port());
    std::string many;
    for (int i = 0; i < 60; ++i)
        many += request_text("GET", (i % 3 ? "/now/" : "/later/") + std::to_string(i));
    browser.send(many);
    for (int i = 0; i < 60; ++i)
        CHECK(take_answer(browser).body == (i % 3 ? "now " : "later ") + std::to_string(i));
}

TEST_CASE("a request is the same however its bytes are cut") {
    test_server server(table());
    client browser(server.port());
    const auto text = request_text("POST", "/echo/", {}, "cut into pieces");
    for (const char c : text)
        browser.send(std::string(1, c));
    CHECK(take_answer(browser).body == "cut into pieces");
}

TEST_CASE("HTTP/1.0 and Connection: close end the connection after the answer") {
    test_server server(table());
    for (const auto* text : {"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
                             "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"}) {
        client browser(server.port());
        browser.send(text);
        const auto got = take_answer(browser);
        CHECK(got.body == "root");
        CHECK(got.header("Connection") == "close");
        CHECK(browser.closed());
    }
}

TEST_CASE("a client that has finished sending still gets its answers") {
    test_server server(table());
    client browser(server.port());
    browser.send(request_text("GET", "/later/1"));
    browser.finish_sending();
    CHECK(take_answer(browser).body == "later 1");
    CHECK(browser.closed());
}

TEST_CASE("HEAD has the head of GET and no body") {
    test_server server(table());
    client browser(server.port());
    const auto got = ask(browser, "HEAD", "/");
    CHECK(got.status == 200);
    CHECK(got.header("Content-Length") == "4");
    CHECK(ask(browser, "GET", "/").body ==
          "root"); // what follows is whole, so no body stood before it
    browser.send("HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n" + request_text("GET", "/"));
    CHECK(take_answer(browser, true).status == 400);
    CHECK(take_answer(browser).body == "root");
    CHECK(ask(browser, "GET", "/empty/").status == 204);
    CHECK(ask(browser, "GET", "/").body == "root");
}

TEST_CASE("a streamed body reaches a slow handler whole, and no faster than it is taken") {
    test_server server(table());
    client browser(server.port());
    const std::string large(5'000'000, 'z');
    CHECK(ask(browser, "POST", "/count/", {}, large).body == "5000000");
    browser.send("POST /count/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" +
                 chunked(large, 70'000));
    CHECK(take_answer(browser).body == "5000000");
    CHECK(ask(browser, "POST", "/count/").body == "0");
    CHECK(ask(browser, "GET", "/").body == "root");
}

TEST_CASE("an answer that leaves a body unread is read by the client, and ends the connection") {
    test_server server(table());
    for (const auto* path : {"/early/", "/nowhere/"}) {
        client browser(server.port());
        browser.send("POST " + std::string(path) +
                     " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" +
                     std::string(200'000, 'x'));
        const auto got = take_answer(browser);
        CHECK(got.header("Connection") == "close");
        CHECK((got.status == 200 || got.status == 404));
        CHECK(browser.closed());
    }
}

TEST_CASE("100 Continue is sent when the body is wanted, and not when it is refused") {
    test_server server(table());
    client browser(server.port());
    browser.send("POST /echo/ HTTP/1.1\r\nHost: localhost\r\nExpect: "
                 "100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(browser.take_through("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    browser.send("ok");
    CHECK(take_answer(browser).body == "ok");
    browser.send("POST /small/ HTTP/1.1\r\nHost: localhost\r\nExpect: "
                 "100-continue\r\nContent-Length: 11\r\n\r\n");
    CHECK(take_answer(browser).status == 413);
}

TEST_CASE("bodies above the limit are refused, announced or not") {
    test_server server(table());
    client announced(server.port());
    CHECK(ask(announced, "POST", "/small/", {}, "0123456789").body == "0123456789");
    CHECK(ask(announced, "POST", "/small/", {}, "01234567890").status == 413);
    client unannounced(server.port());
    unannounced.send(
        "POST /small/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" +
        chunked("01234567890", 4));
    const auto got = take_answer(unannounced);
    CHECK(got.status == 413);
    CHECK(got.header("Connection") == "close");
}

TEST_CASE(
    "a head that does not arrive in time is answered with 408, a silent connection is closed") {
    test_setup setup;
    setup.limit.handshake_timeout = std::chrono::seconds(1);
    setup.limit.keep_alive_timeout = std::chrono::seconds(1);
    setup.limit.body_timeout = std::chrono::seconds(1);
    test_server server(table(), setup);
    client silent(server.port());
    client slow_head(server.port());
    slow_head.send("GET / HTTP/1.1\r\nHo");
    client slow_second(server.port());
    slow_second.send(request_text("GET", "/") + "GET /n");
    CHECK(take_answer(slow_second).body == "root");
    client slow_body(server.port());
    slow_body.send("POST /echo/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
    client slow_stream(server.port());
    slow_stream.send("POST /count/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
    CHECK(silent.closed());
    for (auto* one : {&slow_head, &slow_second, &slow_body, &slow_stream}) {
        const auto got = take_answer(*one);
        CHECK(got.status == 408);
        CHECK(got.body.find("\"timed_out\"") != std::string::npos);
        CHECK(one->closed());
    }
}

TEST_CASE("wrong addresses, methods and hosts get their errors as JSON") {
    test_server server(table());
    client browser(server.port());
    auto got = ask(browser, "GET", "/nowhere/");
    CHECK(got.status == 404);
    CHECK(got.header("Content-Type") == "application/json");
    CHECK(got.body.find(R"("code":"not_found")") != std::string::npos);
    got = ask(browser, "DELETE", "/echo/");
    CHECK(got.status == 405);
    CHECK(got.header("Allow") == "POST");
    CHECK(ask(browser, "POST", "/").header("Allow") == "GET, HEAD");
    got = ask(browser, "GET", "/ws/");
    CHECK(got.status == 426);
    CHECK(got.header("Upgrade") == "websocket");
    browser.send("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    CHECK(take_answer(browser).status == 400);
    browser.send("GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(take_answer(browser).status == 400);
    CHECK(ask(browser, "GET", "/").body == "root");
    browser.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    CHECK(take_answer(browser).status == 400);
    CHECK(browser.closed());
}

TEST_CASE(
    "what a handler throws becomes an error of its kind, without details of what is unknown") {
    test_server server(table());
    client browser(server.port());
    auto got = ask(browser, "GET", "/known/");
    CHECK(got.status == 409);
    CHECK(got.body == R"({"error":{"code":"conflict","message":"the bed is taken"}})");
    got = ask(browser, "GET", "/unknown/");
    CHECK(got.status == 500);
    CHECK(got.body.find("secret") == std::string::npos);
    CHECK(got.body.find(R"("code":"internal_error")") != std::string::npos);
    CHECK(ask(browser, "GET", "/thread/throws/").status == 404);
    CHECK(ask(browser, "GET", "/").body == "root");
}

TEST_CASE("handlers on a thread see the request and answer it") {
    test_server server(table());
    client browser(server.port());
    CHECK(ask(browser, "GET", "/thread/", "X-Word: hello\r\n").body == "hello");
}

TEST_CASE("no header of an answer can bring another with it") {
    test_server server(table());
    client browser(server.port());
    const auto got = ask(browser, "GET", "/evil/");
    CHECK(got.header("X-Evil").empty());
    CHECK(got.header("X-A").empty());
    CHECK(got.header("X-B") == "2");
    CHECK(got.header("Content-Length") == "1"); // not the handler's own
    CHECK(got.header("X-Content-Type-Options") == "nosniff");
}

TEST_CASE("pages of other sites change nothing here") {
    test_server server(table());
    client browser(server.port());
    CHECK(ask(browser, "POST", "/echo/", "Origin: http://localhost\r\n", "x").status == 200);
    CHECK(ask(browser, "GET", "/", "Origin: http://evil.example\r\n").status == 200);
    CHECK(ask(browser, "GET", "/start/", "Sec-Fetch-Site: none\r\n").status == 200);
    CHECK(ask(browser, "GET", "/start/", "Sec-Fetch-Site: cross-site\r\n").status == 403);
    for (const auto* header : {"Origin: http://evil.example\r\n", "Origin: null\r\n",
                               "Sec-Fetch-Site: cross-site\r\n"}) {
        client other(server.port());
        CHECK(ask(other, "POST", "/echo/", header, "x").status == 403);
    }
}

TEST_CASE("a client that goes away in the middle of a body, or of waiting, leaves nothing behind") {
    test_server server(table());
    for (int i = 0; i < 20; ++i) {
        client uploading(server.port());
        uploading.send(
            "POST /count/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc");
        client waiting(server.port());
        waiting.send(request_text("GET", "/later/1"));
        if (i % 2) {
            uploading.reset();
            waiting.reset();
        }
    }
    server.stop(); // waits for every connection
    CHECK(server.shards().connections() == 0);
}

TEST_CASE("when no thread is free the answer is 503") {
    gate go_on;
    told started;
    test_setup setup;
    setup.pool_threads = 1;
    setup.limit.blocking_queue_max = 1;
    test_server server({get("/hold/", on_thread([&](request&) {
                                started.add("x");
                                go_on.wait();
                                return text_response("done");
                            }))},
                       setup);
    client first(server.port()), second(server.port()), third(server.port());
    first.send(request_text("GET", "/hold/"));
    started.wait_for(1);
    second.send(request_text("GET", "/hold/"));
    while (server.metric("carillon_blocking_waiting") < 1)
        server.on_shard(0, [] {});
    CHECK(ask(third, "GET", "/hold/").status == 503);
    go_on.open();
    CHECK(take_answer(first).body == "done");
    CHECK(take_answer(second).body == "done");
}

TEST_CASE("files: validators, ranges, compression, and nothing outside their folder") {
    namespace fs = std::filesystem;
    const auto folder =
        fs::temp_directory_path() / ("carillon_files_" + std::to_string(::getpid()));
    fs::create_directories(folder / "public/sub");
    const auto write = [&](const char* name, std::string_view content) {
        std::ofstream(folder / name, std::ios::binary) << content;
    };
    write("secret.txt", "secret");
    write("public/a.txt", "0123456789");
    write("public/empty.txt", "");
    write("public/.hidden", "hidden");
    write("public/app.js", "plain script");
    write("public/app.js.gz", "packed");
    write("public/long.txt", std::string(5000, 'x'));
    fs::create_symlink(folder / "secret.txt", folder / "public/link.txt");
    fs::create_symlink(folder / "secret.txt", folder / "public/a.txt.gz");
    test_server server({files("/f/", (folder / "public").string())});
    client browser(server.port());
    const auto whole = ask(browser, "GET", "/f/a.txt");
    CHECK(whole.body == "0123456789");
    CHECK(whole.header("Content-Type") == "text/plain; charset=utf-8");
    const auto etag = whole.header("ETag");
    CHECK(ask(browser, "GET", "/f/a.txt", "If-None-Match: " + etag + "\r\n").status == 304);
    CHECK(ask(browser, "GET", "/f/a.txt", "If-None-Match: \"other\"\r\n").status == 200);
    CHECK(ask(browser, "GET", "/f/a.txt",
              "If-Modified-Since: " + whole.header("Last-Modified") + "\r\n")
              .status == 304);
    auto part = ask(browser, "GET", "/f/a.txt", "Range: bytes=2-4\r\n");
    CHECK(part.status == 206);
    CHECK(part.body == "234");
    CHECK(part.header("Content-Range") == "bytes 2-4/10");
    CHECK(ask(browser, "GET", "/f/a.txt", "Range: bytes=-3\r\n").body == "789");
    CHECK(ask(browser, "GET", "/f/a.txt", "Range: bytes=2-4\r\nIf-Range: \"other\"\r\n").body ==
          "0123456789");
    CHECK(ask(browser, "GET", "/f/a.txt", "Range: bytes=20-\r\n").status == 416);
    CHECK(ask(browser, "HEAD", "/f/a.txt").header("Content-Length") == "10");
    CHECK(ask(browser, "GET", "/f/empty.txt").body.empty());
    CHECK(ask(browser, "GET", "/f/app.js").body == "plain script");
    const auto packed = ask(browser, "GET", "/f/app.js", "Accept-Encoding: gzip\r\n");
    CHECK(packed.body == "packed");
    CHECK(packed.header("Content-Encoding") == "gzip");
    CHECK(packed.header("Vary") == "Accept-Encoding");
    CHECK(packed.header("ETag") != ask(browser, "GET", "/f/app.js").header("ETag"));
    CHECK(ask(browser, "GET", "/f/a.txt", "Accept-Encoding: gzip\r\n").body ==
          "0123456789"); // a link that leads out
    const auto shrunk = ask(browser, "GET", "/f/long.txt", "Accept-Encoding: gzip\r\n");
    CHECK(shrunk.header("Content-Encoding") == "gzip");
    CHECK(shrunk.body.size() < 100);
    CHECK(ask(browser, "GET", "/f/long.txt").body.size() == 5000);
    for (const auto* path : {"/f/../secret.txt", "/f/..%2fsecret.txt", "/f/sub/../../secret.txt",
                             "/f/.hidden", "/f/link.txt", "/f//etc/passwd", "/f/%2fetc%2fpasswd",
                             "/f/sub", "/f/sub/", "/f/nothing", "/f/"}) {
        CAPTURE(path);
        CHECK(ask(browser, "GET", path).status == 404);
    }
    fs::remove_all(folder);
}
