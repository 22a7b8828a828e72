#include <algorithm>

#include <doctest/doctest.h>

#include "jobs/broker/result_store.hpp"
#include "jobs/broker/test_redis_broker.hpp"

namespace carillon::jobs::test {

namespace {

using record = celery::result_record;

// A result store, its answers awaited.
class store {
public:
    explicit store(const std::string& url, std::chrono::milliseconds timeout = 10s,
                   const std::string& prefix = {}) {
        result_options options;
        options.url = url;
        options.timeout = timeout;
        options.keyprefix = prefix;
        options.result_bytes_max = 1'000'000;
        store_ = open_results(options, nullptr, log, counted).value();
    }
    result_store* operator->() { return store_.get(); }
    void close() { store_.reset(); }

    result<void> put(const std::string& id, std::string_view status, value outcome = {}) {
        record r;
        r.task_id = id;
        r.status = status;
        r.outcome = std::move(outcome);
        return told([&](auto done) { store_->put(std::move(r), "", "", std::move(done)); });
    }
    result<std::optional<record>> get(const std::string& id) {
        std::promise<result<std::optional<record>>> answer;
        store_->get(id, [&](const auto& found) { answer.set_value(found); });
        return answer.get_future().get();
    }
    std::string status(const std::string& id) {
        const auto found = get(id);
        return found && *found ? (*found)->status : "";
    }
    result<std::optional<std::vector<std::string>>> add(const std::string& group, double score,
                                                        const std::string& member) {
        std::promise<result<std::optional<std::vector<std::string>>>> answer;
        store_->add_chord_part({group, score, member},
                               [&](const auto& found) { answer.set_value(found); });
        return answer.get_future().get();
    }
    std::string claim(const std::string& key, const std::string& id) {
        std::promise<result<std::string>> answer;
        store_->claim_unique(key, id, 60s, [&](const auto& holder) { answer.set_value(holder); });
        return answer.get_future().get().value();
    }
    template <class F>
    result<void> told(F asked) {
        std::promise<result<void>> answer;
        asked([&](const result<void>& outcome) { answer.set_value(outcome); });
        return answer.get_future().get();
    }

    net::redis::test::log_lines log;
    metrics counted;

private:
    std::unique_ptr<result_store> store_;
};

// What a watcher heard.
class heard {
public:
    std::function<void(const record&)> ear() {
        return [this](const record& what) {
            std::lock_guard lock(guard_);
            statuses_.push_back(what.status);
            changed_.notify_all();
        };
    }
    bool wait(const std::string& status) {
        std::unique_lock lock(guard_);
        return changed_.wait_for(
            lock, 20s, [&] { return std::ranges::find(statuses_, status) != statuses_.end(); });
    }
    std::vector<std::string> all() {
        std::lock_guard lock(guard_);
        return statuses_;
    }

private:
    std::mutex guard_;
    std::condition_variable changed_;
    std::vector<std::string> statuses_;
};

} // namespace

TEST_CASE("a record is stored as Celery stores it, with its expiry, and nothing replaces SUCCESS") {
    if (no_redis())
        return;
    server redis;
    store at(redis.url());
    CHECK(at.get("unknown").value() == std::nullopt);
    REQUIRE(at.put("id", "STARTED", object{{"pid", 1}}));
    CHECK(at.status("id") == "STARTED");
    REQUIRE(at.put("id", "SUCCESS", 5));
    REQUIRE(at.put("id", "FAILURE", "late"));
    const auto found = at.get("id").value();
    REQUIRE(found);
    CHECK(found->status == "SUCCESS");
    CHECK(found->outcome == value(5));
    const auto life = ask(redis.url(), {"TTL", "celery-task-meta-id"}).number;
    CHECK(life > 86'300);
    CHECK(life <= 86'400);
    // a result that says SUCCESS somewhere else is no success
    REQUIRE(at.put("other", "PROGRESS", object{{"status", "SUCCESS"}}));
    REQUIRE(at.put("other", "FAILURE",
                   object{{"exc_type", "E"}, {"exc_message", array{}}, {"exc_module", "m"}}));
    CHECK(at.status("other") == "FAILURE");
    ask(redis.url(), {"SET", "celery-task-meta-broken", R"({"status": "SUCCESS")"});
    CHECK_FALSE(at.get("broken"));
    REQUIRE(at.put("broken", "SUCCESS", 1));
    CHECK(at.status("broken") == "SUCCESS");
}

TEST_CASE("whoever watches hears what is stored already and what follows, also after the server "
          "came back") {
    if (no_redis())
        return;
    server redis;
    store writer(redis.url()), reader(redis.url());
    REQUIRE(writer.put("id", "STARTED"));
    heard ear, late, none;
    REQUIRE(reader.told([&](auto done) { reader->watch("id", ear.ear(), std::move(done)); }));
    CHECK(ear.all() == std::vector<std::string>{"STARTED"});
    REQUIRE(reader.told([&](auto done) { reader->watch("next", late.ear(), std::move(done)); }));
    REQUIRE(
        reader.told([&](auto done) { reader->watch("forgotten", none.ear(), std::move(done)); }));
    reader->forget("forgotten");
    REQUIRE(writer.put("id", "PROGRESS", 1));
    CHECK(ear.wait("PROGRESS"));
    redis.kill();
    redis.restart();
    REQUIRE(writer.put("id", "SUCCESS", 1)); // perhaps before the reader is back
    CHECK(ear.wait("SUCCESS"));
    REQUIRE(writer.put("forgotten", "SUCCESS", 1));
    REQUIRE(writer.put("next", "SUCCESS", 1));
    CHECK(late.wait("SUCCESS"));
    CHECK(none.all().empty());
}

TEST_CASE("operations wait while the server is away, fail after their time, and are cancelled at "
          "the end") {
    if (no_redis())
        return;
    server redis;
    store at(redis.url(), 500ms), patient(redis.url());
    REQUIRE(at.put("id", "STARTED"));
    REQUIRE(patient.put("id", "STARTED"));
    redis.kill();
    heard ear;
    const auto refused = at.put("id", "SUCCESS");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::unavailable);
    const auto unready = at.told([&](auto done) { at->watch("id", ear.ear(), std::move(done)); });
    REQUIRE_FALSE(unready);
    CHECK(unready.error().code == errc::unavailable);
    CHECK_FALSE(at->status());

    std::promise<result<void>> first, second;
    record r;
    r.task_id = "id";
    r.status = "SUCCESS";
    patient->put(r, "", "", [&](const auto& outcome) { first.set_value(outcome); });
    redis.restart();
    CHECK(first.get_future().get());
    CHECK(patient.status("id") == "SUCCESS");
    redis.kill();
    patient->put(r, "", "", [&](const auto& outcome) { second.set_value(outcome); });
    patient.close();
    const auto end = second.get_future().get();
    REQUIRE_FALSE(end);
    CHECK(end.error().code == errc::cancelled);
}

TEST_CASE("a chord is completed once, by its last member, whoever comes twice") {
    if (no_redis())
        return;
    server redis;
    store at(redis.url()), other(redis.url());
    CHECK(at.add("g", 1, R"([1, "b", "SUCCESS", 4])").value() == std::nullopt);
    REQUIRE(at.told([&](auto done) { at->put_chord_size({"g", 3}, std::move(done)); }));
    CHECK(at.add("g", 0, R"([1, "a", "SUCCESS", 2])").value() == std::nullopt);
    CHECK(at.add("g", 0, R"([1, "a", "SUCCESS", "another outcome"])").value() == std::nullopt);
    const auto whole = other.add("g", 2, R"([1, "c", "SUCCESS", 6])").value();
    const std::vector<std::string> members{R"([1, "a", "SUCCESS", 2])", R"([1, "b", "SUCCESS", 4])",
                                           R"([1, "c", "SUCCESS", 6])"};
    REQUIRE(whole);
    CHECK(*whole == members);
    CHECK(at.add("g", 1, R"([1, "b", "SUCCESS", 4])").value() == std::nullopt);
    // its worker died before it sent the body
    CHECK(at.add("g", 2, R"([1, "c", "SUCCESS", 6])").value() == members);
    REQUIRE(at.told([&](auto done) { at->forget_chord("g", std::move(done)); }));
    CHECK(ask(redis.url(), {"DBSIZE"}).number == 0);
}

TEST_CASE("of many who claim a unique key one holds it, until that one releases it") {
    if (no_redis())
        return;
    server redis;
    store at(redis.url()), other(redis.url());
    CHECK(at.claim("key", "one") == "one");
    CHECK(other.claim("key", "two") == "one");
    CHECK(at.claim("key", "one") == "one");
    REQUIRE(other.told([&](auto done) { other->release_unique("key", "two", std::move(done)); }));
    CHECK(other.claim("key", "two") == "one");
    REQUIRE(at.told([&](auto done) { at->release_unique("key", "one", std::move(done)); }));
    CHECK(other.claim("key", "two") == "two");
    CHECK(ask(redis.url(), {"TTL", "carillon:unique:key"}).number > 0);
}

TEST_CASE("what is larger than is read is refused, and a prefix stands before every key") {
    if (no_redis())
        return;
    server redis;
    store at(redis.url(), 10s, "site");
    REQUIRE(at.put("large", "SUCCESS", std::string(1'000'001, 'x')));
    const auto found = at.get("large");
    REQUIRE_FALSE(found);
    CHECK(found.error().code == errc::too_large);
    at.claim("key", "one");
    REQUIRE(at.told([&](auto done) { at->put_chord_size({"g", 3}, std::move(done)); }));
    at.add("g", 1, "[]").value();
    const auto keys = ask(redis.url(), {"KEYS", "*"});
    CHECK(keys.items.size() == 4);
    for (const auto& key : keys.items)
        CHECK(key.text.starts_with("site_"));
}

TEST_CASE("rpc results travel through the broker to whoever watches; chords and unique keys are "
          "refused there") {
    if (no_redis())
        return;
    server redis;
    receiver client(options_for(redis.url())), worker(options_for(redis.url()));
    client.start();
    worker.start();
    result_options options;
    options.url = "rpc://";
    metrics counted;
    auto asks = open_results(options, &*client, silent_log(), counted).value();
    auto answers = open_results(options, &*worker, silent_log(), counted).value();
    REQUIRE(client.wait_up());
    REQUIRE(worker.wait_up());
    heard ear;
    std::promise<void> ready;
    asks->watch("id", ear.ear(), [&](const auto& outcome) {
        CHECK(outcome);
        ready.set_value();
    });
    ready.get_future().wait();
    record r;
    r.task_id = "id";
    r.status = "SUCCESS";
    r.outcome = 5;
    answers->put(r, asks->reply_to(), "id", [](const auto& outcome) { CHECK(outcome); });
    REQUIRE(client.wait([](const auto& s) { return s.replies.size() == 1; }));
    asks->rpc_received(client.now_seen().replies.front());
    CHECK(ear.wait("SUCCESS"));
    std::promise<result<std::optional<record>>> known, unknown;
    asks->get("id", [&](const auto& found) { known.set_value(found); });
    asks->get("another", [&](const auto& found) { unknown.set_value(found); });
    CHECK(known.get_future().get().value()->outcome == value(5));
    CHECK(unknown.get_future().get().value() == std::nullopt);
    std::promise<errc> refused;
    asks->claim_unique("key", "id", 1s,
                       [&](const auto& r2) { refused.set_value(r2.error().code); });
    CHECK(refused.get_future().get() == errc::unavailable);
}

TEST_CASE("the URL of a result store says what keeps it, and one that says nothing is refused") {
    result_options options;
    metrics counted;
    options.url = "none:";
    CHECK(open_results(options, nullptr, silent_log(), counted).value()->name() == "none:");
    for (const auto* url : {"rpc://", "ftp://:secret@h", "redis://:secret@h/x"}) {
        options.url = url;
        const auto opened = open_results(options, nullptr, silent_log(), counted);
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == errc::invalid);
        CHECK(opened.error().message.find("secret") == std::string::npos);
    }
}

} // namespace carillon::jobs::test
