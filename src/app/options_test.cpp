// Settings: which source wins, what is refused and how that is said, and that docs/configuration.md tells the truth.

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

#include "app/options.hpp"

using namespace carillon;
using namespace carillon::app;

namespace {

using variables = std::map<std::string, std::string>;

// A configuration file that is gone at the end.
class config_file {
public:
    explicit config_file(std::string_view content)
        : path_(std::filesystem::temp_directory_path() /
                fmt::format("carillon_{}.toml", ::getpid())) {
        std::ofstream(path_, std::ios::binary) << content;
    }
    ~config_file() { std::filesystem::remove(path_); }
    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

result<loaded_settings> load(std::string_view toml, const flag_values& flags = {},
                             const variables& set = {}) {
    const config_file file(toml);
    return load_settings(file.path(), flags, [&](const char* name) -> const char* {
        const auto found = set.find(name);
        return found == set.end() ? nullptr : found->second.c_str();
    });
}

std::string complaint(std::string_view toml, const flag_values& flags = {},
                      const variables& set = {}) {
    const auto loaded = load(toml, flags, set);
    return loaded ? "" : loaded.error().message;
}

bool says(const std::string& message, std::initializer_list<std::string_view> parts) {
    for (const auto part : parts)
        if (message.find(part) == std::string::npos)
            return false;
    return true;
}

} // namespace

TEST_CASE("a later source wins over an earlier one, and each value knows its source") {
    auto loaded = load("workers = 3\nthreads = 4\nbody-timeout = 7\n", {{"workers", {"9"}}},
                       {{"CARILLON_WORKERS", "5"}, {"CARILLON_THREADS", "6"}});
    REQUIRE(loaded);
    CHECK(loaded->values.workers == 9);
    CHECK(loaded->from["workers"] == "--workers");
    CHECK(loaded->values.threads == 6);
    CHECK(loaded->from["threads"] == "CARILLON_THREADS");
    CHECK(loaded->values.limit.body_timeout == std::chrono::seconds(7));
    CHECK(loaded->from["body-timeout"].ends_with(".toml:3"));
    CHECK(loaded->values.limit.ping_interval == limits{}.ping_interval);
    CHECK(loaded->from["ping-interval"] == "default");
}

TEST_CASE(
    "lists are arrays in the file, commas in the environment, repeated flags on the command line") {
    CHECK(load("allowed-hosts = ['a', 'b']")->values.allowed_hosts ==
          std::vector<std::string>{"a", "b"});
    CHECK(load("allowed_hosts = 'a'")->values.allowed_hosts == std::vector<std::string>{"a"});
    CHECK(load("", {}, {{"CARILLON_ALLOWED_HOSTS", "a, b ,,c"}})->values.allowed_hosts ==
          std::vector<std::string>{"a", "b", "c"});
    CHECK(load("", {{"bind", {"1.2.3.4:1", ":2,:3"}}})->values.bind ==
          std::vector<std::string>{"1.2.3.4:1", ":2", ":3"});
    CHECK(load("trusted-proxies = []")->values.trusted_proxies.empty());
}

TEST_CASE("a server that listens nowhere or serves no host is a mistake") {
    CHECK(says(complaint("bind = []"), {".toml:1", "bind"}));
    CHECK(says(complaint("", {}, {{"CARILLON_BIND", " "}}), {"CARILLON_BIND"}));
    CHECK(says(complaint("", {{"allowed-hosts", {","}}}), {"--allowed-hosts"}));
}

TEST_CASE("a health port has the forms of bind, or is nowhere") {
    CHECK(load("")->values.health_bind.empty());
    CHECK(load("health-bind = '[::1]:9100'")->values.health_bind == "[::1]:9100");
    CHECK(load("", {{"health-bind", {"unix:/run/worker.sock"}}})->values.health_bind ==
          "unix:/run/worker.sock");
    CHECK(load("health-bind = ':9100'", {}, {{"CARILLON_HEALTH_BIND", ""}})
              ->values.health_bind.empty());
    CHECK(says(complaint("health-bind = '9100'"), {".toml:1", "health-bind", "HOST:PORT"}));
    CHECK(says(complaint("", {}, {{"CARILLON_HEALTH_BIND", "::1:9100"}}),
               {"CARILLON_HEALTH_BIND", "in brackets"}));
}

TEST_CASE("keys may hold commas: one in the environment, or a JSON array; flags are not split") {
    const auto keys = [](const result<loaded_settings>& loaded) {
        REQUIRE(loaded);
        return loaded->values.channel_keys;
    };
    using texts = std::vector<std::string>;
    CHECK(keys(load("channel-key = ['new, with comma', 'old']")) ==
          texts{"new, with comma", "old"});
    CHECK(keys(load("channel-key = 'only, one'")) == texts{"only, one"});
    CHECK(keys(load("channel-key = []")).empty());
    CHECK(keys(load("", {}, {{"CARILLON_CHANNEL_KEY", " a,b "}})) == texts{" a,b "});
    CHECK(keys(load("", {}, {{"CARILLON_CHANNEL_KEY", R"(["a,b", "[c]"])"}})) ==
          texts{"a,b", "[c]"});
    CHECK(keys(load("", {{"channel-key", {"a,b", "[c,d]"}}})) == texts{"a,b", "[c,d]"});
}

TEST_CASE("a secret is neither shown nor repeated by what is wrong with it") {
    const auto loaded = load("channel-layer = 'redis://app:hunter2@db1/3,redis://:hunter2@db2'\n"
                             "channel-key = ['hunter2', 'hunter3']\n");
    REQUIRE(loaded);
    CHECK(find_option("channel-layer")->get(loaded->values) ==
          "redis://app:***@db1:6379/3,redis://:***@db2:6379/0");
    CHECK(find_option("channel-key")->get(loaded->values) == "********,********");
    for (const auto* wrong :
         {"channel-layer = 'redis://:hunter2@h:99999'", "channel-layer = 'redis://:hun/ter2@h'",
          "channel-layer = 'hunter2@h'", "channel-layer = ':hunter2@h'",
          "channel-layer = 'redis:hunter2@h'", "channel-layer = 'mysql://u:hunter2@h'",
          "channel-key = ['hunter2', '']", "channel-key = ['hunter2', 3.5]",
          "channel-layer = 'redis://h?password=hunter2'"}) {
        CAPTURE(wrong);
        const auto message = complaint(wrong);
        CHECK(says(message, {".toml:1: channel-"}));
        CHECK(message.find("hunter") == std::string::npos);
        CHECK(message.find("ter2") == std::string::npos);
    }
    for (const auto* wrong : {R"(["hunter2", 3])", R"(["hunter2")", R"(["hunter2", ""])"}) {
        const auto message = complaint("", {}, {{"CARILLON_CHANNEL_KEY", wrong}});
        CHECK(says(message, {"CARILLON_CHANNEL_KEY"}));
        CHECK(message.find("hunter2") == std::string::npos);
    }
    CHECK(says(complaint("", {}, {{"CARILLON_CHANNEL_KEY", ""}}), {"must not be empty"}));
}

TEST_CASE("a broker brings its usual result backend along, and what does not fit is told") {
    const auto results = [](std::string_view toml) {
        const auto loaded = load(toml);
        return loaded ? loaded->values.result_backend : loaded.error().message;
    };
    CHECK(results("") == "embedded:");
    CHECK(results("broker = 'amqp://h'") == "rpc://");
    CHECK(results("broker = 'amqps://u:p@h/jobs'") == "rpc://");
    CHECK(results("broker = 'redis://:pw@h/2'") == "redis://:pw@h/2");
    CHECK(results("broker = 'unix:///run/redis.sock'") == "unix:///run/redis.sock");
    CHECK(results("broker = 'amqp://h'\nresult-backend = 'redis://h'") == "redis://h");
    CHECK(results("broker = 'redis://h'\nresult-backend = 'none:'") == "none:");
    CHECK(says(results("broker = 'amqp://h'\nresult-backend = 'embedded:'"),
               {".toml:1", ".toml:2", "choose redis://HOST, rpc:// or none:"}));
    CHECK(says(results("result-backend = 'rpc://'"),
               {"broker (default)", ".toml:1", "leave result-backend out, or choose a broker"}));
}

TEST_CASE("beats agree in Redis where the broker or the results are there, unless told otherwise") {
    const auto store = [](std::string_view toml) {
        const auto loaded = load(toml);
        return loaded ? loaded->values.beat_store : loaded.error().message;
    };
    CHECK(store("") == "embedded:");
    CHECK(store("broker = 'amqp://h'") == "embedded:");
    CHECK(store("broker = 'redis://:pw@h/2'") == "redis://:pw@h/2");
    CHECK(store("broker = 'amqp://h'\nresult-backend = 'redis://r'") == "redis://r");
    CHECK(store("broker = 'redis://h'\nbeat-store = 'embedded:'") == "embedded:");
    CHECK(store("broker = 'amqp://h'\nbeat-store = 'redis://b'") == "redis://b");
    CHECK(says(store("beat-store = 'amqp://u:hunter2@h'"), {".toml:1", "embedded:, redis://"}));
    const auto loaded = load("beat-store = 'redis://:hunter2@b/1'\n"
                             "[schedule.x]\ntask = 't'\nevery = 1\n");
    REQUIRE(loaded);
    CHECK(find_option("beat-store")->get(loaded->values) == "redis://b:6379/1");
    REQUIRE(loaded->values.schedules.size() == 1);
    CHECK(says(complaint("[schedule.x]\ntask = 't'\n"), {".toml:1", "schedule.x"}));
}

TEST_CASE("the secrets of a broker are neither shown nor repeated by what is wrong with it") {
    const auto loaded = load("broker = 'amqp://app:hunter2@h1/jobs'\n"
                             "result-backend = 'rediss://app:hunter2@h2/3'\n");
    REQUIRE(loaded);
    CHECK(find_option("broker")->get(loaded->values) == "amqp://h1:5672/jobs");
    CHECK(find_option("result-backend")->get(loaded->values) == "rediss://h2:6379/3");
    for (const auto* wrong :
         {"broker = 'hunter2@h'", "broker = 'mysql://u:hunter2@h'", "broker = 'amqp:hunter2@h'",
          "broker = 'amqp://u:hunter2@h:99999'", "broker = 'amqp://u:hun/ter2@h'",
          "broker = 'redis://:hunter2@h1,redis://:hunter2@h2'",
          "broker = 'redis+pubsub://:hunter2@h'", "broker = 'redis://:hunter2@h:99999'",
          "result-backend = 'db+sqlite:///hunter2'", "result-backend = 'redis://:hunter2@h:99999'",
          "result-backend = 'amqp://u:hunter2@h'"}) {
        CAPTURE(wrong);
        const auto message = complaint(wrong);
        CHECK(says(message, {".toml:1: "}));
        CHECK(message.find("hunter") == std::string::npos);
        CHECK(message.find("ter2") == std::string::npos);
    }
    CHECK(says(complaint("broker = 'kafka://h'"), {"embedded:, amqp://", "redis://HOST"}));
    CHECK(says(complaint("enqueue-timeout = 0"), {"from 1 to 300"}));
    CHECK(says(complaint("visibility-timeout = 9"), {"from 10 to"}));
    CHECK(says(complaint("broker-key-prefix = 'two words'"), {"up to 64 bytes"}));
    CHECK(says(complaint("queue-limits = ['reports=2', 'reports']"), {"QUEUE=NUMBER"}));
    CHECK(says(complaint("queue-limits = 'reports=0'"), {"from 1 to"}));
    CHECK(says(complaint("queue-type = 'stream'"), {"classic, quorum"}));
    CHECK(says(complaint("queue-max-priority = 256"), {"from 0 to 255"}));
}

TEST_CASE("an unknown key names its file and line, and the nearest known one") {
    CHECK(says(complaint("\n\nworker = 2"), {".toml:3", "'worker'", "did you mean workers?"}));
    CHECK(says(complaint("ping_intervall = 2"), {".toml:1", "did you mean ping-interval?"}));
    const auto far = complaint("something-else-entirely = 2");
    CHECK(says(far, {"unknown setting"}));
    CHECK_FALSE(says(far, {"did you mean"}));
    CHECK(says(complaint("workers = 2\nthreads = = 3"), {".toml:2"}));
}

TEST_CASE("a bad value names its place and what a good one looks like") {
    for (const auto* wrong :
         {"workers = 'many'", "workers = -1", "workers = 1025", "workers = true", "workers = [1]"})
        CHECK(says(complaint(wrong), {".toml:1", "workers"}));
    CHECK(says(complaint("", {{"workers", {"1x"}}}), {"--workers", "'1x'", "from 0 to 1024"}));
    CHECK(says(complaint("", {}, {{"CARILLON_PING_TIMEOUT", "0"}}),
               {"CARILLON_PING_TIMEOUT", "from 1 to"}));
    CHECK(says(complaint("log-format = 'xml'"), {"one of pretty, json"}));
    CHECK(says(complaint("log-level = 'loud'"), {"one of debug, info, warning, error"}));
    CHECK(says(complaint("channel-layer = 'kafka:'"), {"channel-layer", "'kafka:'", "redis://"}));
    CHECK(says(complaint("channel-serializer = 'xml'"), {"one of msgpack, json"}));
    CHECK(says(complaint("channel-random-prefix = 65"), {"from 0 to 64"}));
    for (const auto* wrong : {"''", "'two words'", R"("a\nb")"})
        CHECK(says(complaint(fmt::format("channel-prefix = {}", wrong)), {"1 to 64 bytes"}));
    for (const auto* wrong : {"'specific.*'", "'=5'", "'a=x'", "'a=0'", "['a=1', 'b']"})
        CHECK(says(complaint(fmt::format("channel-capacities = {}", wrong)),
                   {".toml:1: channel-capacities"}));
    CHECK(says(complaint("tls-cert = 'a.pem'"), {"tls-cert and tls-key"}));
}

TEST_CASE("a configuration file that was named must be there") {
    const auto loaded = load_settings("/nonexistent/carillon.toml", {},
                                      [](const char*) -> const char* { return nullptr; });
    REQUIRE_FALSE(loaded);
    CHECK(says(loaded.error().message, {"/nonexistent/carillon.toml"}));
}

TEST_CASE("what a setting shows can be set again") {
    const settings defaults;
    for (const auto& one : options()) {
        CAPTURE(one.name);
        const auto shown = one.get(defaults);
        if (shown.empty())
            continue;
        settings other;
        CHECK(one.set(other, {shown}));
        CHECK(one.get(other) == shown);
    }
}

TEST_CASE("docs/configuration.md lists every setting as it is") {
    std::ifstream page(CARILLON_SOURCE_DIR "/docs/configuration.md", std::ios::binary);
    std::stringstream content;
    content << page.rdbuf();
    const auto text = content.str();
    const settings defaults;
    std::size_t rows = 0;
    for (std::size_t at = text.find("\n| `--"); at != std::string::npos;
         at = text.find("\n| `--", at + 1))
        ++rows;
    CHECK(rows == options().size());
    for (const auto& one : options()) {
        const auto shown = one.get(defaults);
        std::string values = one.values;
        for (std::size_t at = 0; (at = values.find('|', at)) != std::string::npos; at += 2)
            values.insert(at, "\\");
        auto help = one.help;
        if (const auto at = help.find('<'); at != std::string::npos)
            help.replace(at, 1, "&lt;"); // else it would be taken for a tag
        const auto row =
            fmt::format("| `--{}` | `{}` | {} | `{}` | {} |\n", one.name, environment_name(one),
                        shown.empty() ? "" : "`" + shown + "`", values, help);
        CAPTURE(row);
        CHECK(text.find(row) != std::string::npos);
    }
}
