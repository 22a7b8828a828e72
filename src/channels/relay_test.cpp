#include "channels/relay.hpp"

#include <sys/stat.h>

#include <poll.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/test_support.hpp"
#include "channels/file_lock.hpp"
#include "channels/relay_frame.hpp"
#include "net/local_socket.hpp"

namespace carillon {

namespace {

steady_time soon() { return now() + std::chrono::seconds(20); }

struct folder {
    folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "carillon-relay-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    std::filesystem::path path;
};

class remembering_layer final : public channel_layer {
public:
    result<void> group_send(std::string_view group, event e) override {
        return add("group " + std::string(group), e);
    }
    result<void> send(std::string_view channel, event e) override {
        return add("channel " + std::string(channel), e);
    }
    result<void> group_add(std::string_view, std::string_view) override { return {}; }
    result<void> group_discard(std::string_view, std::string_view) override { return {}; }

    bool wait_count(std::size_t n) {
        std::unique_lock lock(guard_);
        return grown_.wait_until(lock, soon(), [&] { return got_.size() >= n; });
    }
    std::vector<std::pair<std::string, event>> got() {
        std::lock_guard lock(guard_);
        return got_;
    }

private:
    result<void> add(std::string to, event e) {
        {
            std::lock_guard lock(guard_);
            got_.emplace_back(std::move(to), std::move(e));
        }
        grown_.notify_all();
        return {};
    }
    std::mutex guard_;
    std::condition_variable grown_;
    std::vector<std::pair<std::string, event>> got_;
};

event numbered(int n) {
    return event("progress_update", {{"progress", n}, {"status", "in_progress"}});
}

std::string framed(std::string_view json) {
    std::string frame(3, '\0');
    frame += static_cast<char>(json.size());
    frame += json;
    return frame;
}

// True when the peer closed the connection, having sent nothing.
bool is_closed_by_peer(const net::local_socket& socket) {
    pollfd watched{socket.descriptor(), POLLIN, 0};
    std::array<char, 1> answer{};
    return ::poll(&watched, 1, 20'000) == 1 &&
           socket.receive(answer).how == net::local_socket::outcome::over;
}

} // namespace

TEST_CASE("events of a worker process reach the server's layer in their order") {
    folder data;
    const auto path = relay_socket_path(data.path);
    remembering_layer target;
    metrics counted;
    auto server = relay_server::start(path, target, silent_log(), &counted).value();
    struct stat file {};
    REQUIRE(::stat(path.c_str(), &file) == 0);
    CHECK((file.st_mode & 0777) == 0600);

    relay_layer layer(path, silent_log());
    for (int i = 0; i < 1'000; ++i)
        layer.group_send("report_1", numbered(i)).value();
    layer.send("specific.in-memory!abc", event("stop", {{"text", "é"}})).value();
    CHECK(layer.flush(soon()));
    REQUIRE(target.wait_count(1'001));
    const auto got = target.got();
    for (std::size_t i = 0; i < 1'000; ++i) {
        CHECK(got[i].first == "group report_1");
        CHECK(got[i].second["progress"].to_int() == static_cast<std::int64_t>(i));
    }
    CHECK(got[1'000].first == "channel specific.in-memory!abc");
    CHECK(got[1'000].second["text"] == value("é"));
    CHECK(testing::sum_of(counted, "carillon_relay_received_total") == 1'001);
}

TEST_CASE(
    "events wait in a bounded buffer while the server is away, the oldest is dropped and counted") {
    folder data;
    const auto path = relay_socket_path(data.path);
    metrics counted;
    relay_layer_options options;
    options.buffer_events_max = 10;
    options.reconnect_max = std::chrono::milliseconds(100);
    relay_layer layer(path, silent_log(), &counted, options);
    for (int i = 0; i < 25; ++i)
        layer.group_send("g", numbered(i)).value();
    CHECK_FALSE(layer.flush(now() + std::chrono::milliseconds(20)));
    CHECK(testing::sum_of(counted, "carillon_relay_dropped_total") == 15);

    remembering_layer target;
    auto server = relay_server::start(path, target, silent_log()).value();
    CHECK(layer.flush(soon()));
    REQUIRE(target.wait_count(10));
    CHECK(target.got().front().second["progress"] == value(15));
    CHECK(target.got().back().second["progress"] == value(24));
}

TEST_CASE("a server that comes back is found again, and a socket file left behind is replaced") {
    folder data;
    const auto path = relay_socket_path(data.path);
    relay_layer_options options;
    options.reconnect_max = std::chrono::milliseconds(100);
    relay_layer layer(path, silent_log(), nullptr, options);
    remembering_layer first, second;
    auto server = relay_server::start(path, first, silent_log()).value();
    layer.group_send("g", numbered(1)).value();
    REQUIRE(first.wait_count(1));
    server.reset();
    // What a server that was killed leaves behind: a socket file that nobody listens at.
    net::local_socket::listen(path).value().close();
    CHECK(std::filesystem::exists(path));

    server = relay_server::start(path, second, silent_log()).value();
    layer.group_send("g", numbered(2)).value();
    REQUIRE(second.wait_count(1));
    CHECK(second.got()[0].second["progress"] == value(2));
}

TEST_CASE("hostile bytes close their own connection and no other") {
    folder data;
    const auto path = relay_socket_path(data.path);
    remembering_layer target;
    metrics counted;
    auto server = relay_server::start(path, target, silent_log(), &counted).value();
    relay_layer honest(path, silent_log());
    honest.group_send("g", numbered(1)).value();
    REQUIRE(target.wait_count(1));

    using namespace std::string_literals;
    const std::vector<std::string> hostile{
        "\xff\xff\xff\xff"s,
        "\0\0\0\0"s,
        "\0\0\0\x02{}"s,
        "\0\0\0\x03{\"a"s,
        framed(R"({"to":"group","name":"g","type":"http.x","members":{}})"),
    };
    for (const auto& bytes_sent : hostile) {
        const auto socket = net::local_socket::connect(path).value();
        CHECK(socket.send(bytes_sent).bytes == bytes_sent.size());
        CHECK(is_closed_by_peer(socket));
    }
    CHECK(testing::sum_of(counted, "carillon_relay_refused_total") == 5);
    honest.group_send("g", numbered(2)).value();
    REQUIRE(target.wait_count(2));
    CHECK(target.got()[1].second["progress"] == value(2));
}

TEST_CASE("a frame is cut out of the stream wherever the stream is cut") {
    const auto frame = encode_relayed(true, "g", numbered(7)).value();
    const auto stream = frame + frame;
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        relay_splitter splitter;
        std::size_t whole = 0;
        for (auto part :
             {std::string_view(stream).substr(0, cut), std::string_view(stream).substr(cut)}) {
            splitter.append(part);
            for (auto json = splitter.next().value(); json.data(); json = splitter.next().value()) {
                const auto relayed = decode_relayed(json).value();
                CHECK(relayed.what["progress"] == value(7));
                ++whole;
            }
        }
        CHECK(whole == 2);
    }
}

TEST_CASE("what cannot pass the relay is refused at once") {
    folder data;
    relay_layer layer(relay_socket_path(data.path), silent_log());
    CHECK(layer.group_send("no spaces", numbered(1)).error().code == errc::invalid);
    CHECK(layer.group_send("g", event("websocket.close", {})).error().code == errc::invalid);
    CHECK(layer.group_send("g", event("x", {{"data", bytes{std::byte{1}}}})).error().code ==
          errc::invalid);
    CHECK(layer.group_add("g", "c").error().code == errc::unavailable);
    CHECK(relay_server::start(std::filesystem::path(std::string(200, 'x')), layer, silent_log())
              .error()
              .code == errc::invalid);
}

TEST_CASE("a lock file is held by one, seen by all, and free again after its holder") {
    folder data;
    const auto path = data.path / "one.lock";
    CHECK_FALSE(file_lock::is_held(path));
    auto held = file_lock::create(path, "process 7").value();
    CHECK(file_lock::is_held(path));
    auto refused = file_lock::take(path, "process 8");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::conflict);
    CHECK(refused.error().message.ends_with("is held by process 7"));
    held.release();
    CHECK_FALSE(file_lock::is_held(path));
    CHECK(file_lock::take(path, "process 9"));
}

} // namespace carillon
