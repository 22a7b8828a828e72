#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "jobs/broker/amqp_address.hpp"
#include "jobs/broker/amqp_codec.hpp"
#include "jobs/broker/amqp_fields.hpp"
#include "jobs/broker/amqp_topology.hpp"
#include "jobs/broker/broker.hpp"
#include "wire/celery/message.hpp"

using namespace carillon;
using namespace carillon::jobs::amqp;
using wire::celery::message_parts;

namespace {

// What py-amqp wrote for add.delay(2, 3) of Celery 5.2.6, and for a ping of remote control: the properties of the
// content header.
constexpr std::string_view add_properties =
    "fe00106170706c69636174696f6e2f6a736f6e057574662d380000011b046c616e675300000002707904746173"
    "6b5300000008766170702e616464026964530000002431373364613137632d376538392d346331302d62613461"
    "2d66396362393730346430653206736861646f775603657461560765787069726573560567726f7570560b6772"
    "6f75705f696e64657856077265747269657349000000000974696d656c696d69744100000002565607726f6f74"
    "5f6964530000002431373364613137632d376538392d346331302d626134612d66396362393730346430653209"
    "706172656e745f696456086172677372657072530000000628322c2033290a6b77617267737265707253000000"
    "027b7d066f726967696e530000000b67656e333135373740766d0d69676e6f72655f726573756c747400020024"
    "31373364613137632d376538392d346331302d626134612d663963623937303464306532243232326533636138"
    "2d636365662d333964392d623931642d643936313538303035626362";
constexpr std::string_view ping_properties =
    "f800106170706c69636174696f6e2f6a736f6e057574662d380000001c05636c6f636b49000000010765787069"
    "7265736441dabff3708b81820200";

std::string from_hex(std::string_view hex) {
    std::string out;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return out;
}

// Properties of a header table alone, given as its bytes.
std::string with_table(const std::string& table) {
    std::string out{'\x20', '\0'};
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>((table.size() >> shift) & 0xff);
    return out + table;
}

// One member, named "x", of that encoding.
std::string member(const std::string& encoded) { return "\1x" + encoded; }

value read_member(const std::string& encoded) {
    message_parts parts;
    REQUIRE(read_properties(with_table(member(encoded)), parts));
    REQUIRE(parts.headers.size() == 1);
    return *parts.headers.find("x");
}

message_parts parts_of_add() {
    const std::string id = "173da17c-7e89-4c10-ba4a-f9cb9704d0e2";
    message_parts out;
    out.headers = object{{"lang", "py"},
                         {"task", "vapp.add"},
                         {"id", id},
                         {"shadow", nullptr},
                         {"eta", nullptr},
                         {"expires", nullptr},
                         {"group", nullptr},
                         {"group_index", nullptr},
                         {"retries", 0},
                         {"timelimit", array{nullptr, nullptr}},
                         {"root_id", id},
                         {"parent_id", nullptr},
                         {"argsrepr", "(2, 3)"},
                         {"kwargsrepr", "{}"},
                         {"origin", "gen31577@vm"},
                         {"ignore_result", false}};
    out.properties = object{{"content_type", "application/json"},
                            {"content_encoding", "utf-8"},
                            {"delivery_mode", 2},
                            {"priority", 0},
                            {"correlation_id", id},
                            {"reply_to", "222e3ca8-ccef-39d9-b91d-d96158005bcb"}};
    return out;
}

} // namespace

TEST_CASE("A task's properties are written as py-amqp writes them, byte by byte, and read back") {
    const auto expected = from_hex(add_properties);
    const auto parts = parts_of_add();
    const auto written = write_properties(parts, 2);
    REQUIRE(written);
    CHECK(*written == expected);
    message_parts read;
    REQUIRE(read_properties(expected, read));
    CHECK(read.headers == parts.headers);
    CHECK(read.properties == parts.properties);
}

TEST_CASE("A control request's clock and expiry have the tags of py-amqp") {
    message_parts read;
    REQUIRE(read_properties(from_hex(ping_properties), read));
    CHECK(read.headers.find("clock")->if_int64() != nullptr);
    CHECK(read.headers.find("expires")->if_double() != nullptr);
    CHECK(*write_properties(read, 1) == from_hex(ping_properties));
}

TEST_CASE("Every kind of value survives the header table") {
    message_parts parts;
    parts.headers = object{{"null", nullptr},
                           {"yes", true},
                           {"int", -5},
                           {"long", std::int64_t{1} << 40},
                           {"least", INT64_MIN},
                           {"double", 0.5},
                           {"text", "\xc3\xa9"},
                           {"bytes", bytes{std::byte{0xff}, std::byte{0}}},
                           {"list", array{1, array{"a", nullptr}, object{{"b", array{}}}}},
                           {"table", object{{"inner", object{{"deep", 1.25}}}}},
                           {std::string(255, 'n'), std::string(70'000, 'v')}};
    parts.properties = object{{"delivery_mode", 1}, {"priority", 9}, {"expiration", "120000"}};
    message_parts read;
    REQUIRE(read_properties(write_properties(parts, 2).value(), read));
    CHECK(read.headers == parts.headers);
    CHECK(read.properties == parts.properties);
}

TEST_CASE("Types that only other clients write are read") {
    using namespace std::string_literals;
    CHECK(read_member("b\xfe"s) == value(-2));
    CHECK(read_member("B\xfe"s) == value(254));
    CHECK(read_member("s\xff\xfe"s) == value(-2));
    CHECK(read_member("u\xff\xfe"s) == value(65534));
    CHECK(read_member("i\xff\xff\xff\xfe"s) == value(4294967294));
    CHECK(read_member("L\0\0\0\0\0\0\0\7"s) == value(7));
    CHECK(read_member("f\x3f\x00\0\0"s) == value(0.5));
    CHECK(read_member("D\2\0\0\0\x7d"s) == value(1.25));
    CHECK(read_member("T\0\0\0\0\x65\0\0\0"s) == value(0x65000000));
    CHECK(read_member("x\0\0\0\2\xff\0"s) == value(bytes{std::byte{0xff}, std::byte{0}}));
    CHECK(read_member("S\0\0\0\1\xff"s) == value(bytes{std::byte{0xff}}));
}

TEST_CASE("Malformed tables are refused, at whatever byte they end or change") {
    const auto good = from_hex(add_properties);
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
        message_parts read;
        CHECK(!read_properties(std::string_view(good).substr(0, cut), read));
    }
    int refused = 0;
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const int change : {0x01, 0x80, 0xff}) {
            auto bad = good;
            bad[at] = static_cast<char>(bad[at] ^ change);
            message_parts read;
            refused += !read_properties(bad, read);
        }
    CHECK(refused > 100);
}

TEST_CASE("Nesting has a bound in both directions") {
    std::string table = "V";
    for (int i = 0; i < 20'000; ++i) {
        std::string outer = "A";
        for (int shift = 24; shift >= 0; shift -= 8)
            outer += static_cast<char>((table.size() >> shift) & 0xff);
        table = outer + table;
        if (table.size() > 110'000)
            break;
    }
    message_parts read;
    CHECK(!read_properties(with_table(member(table)), read));
    value nested = nullptr;
    for (int i = 0; i < 100; ++i)
        nested = array{nested};
    message_parts parts;
    parts.headers = object{{"x", nested}};
    CHECK(write_properties(parts, 2).error().code == errc::too_large);
}

TEST_CASE("What AMQP cannot hold is too large") {
    message_parts parts;
    parts.properties = object{{"correlation_id", std::string(256, 'c')}};
    CHECK(write_properties(parts, 2).error().code == errc::too_large);
    parts.properties = object{};
    parts.headers = object{{std::string(256, 'n'), 1}};
    CHECK(write_properties(parts, 2).error().code == errc::too_large);
    parts.headers = object{{"n", std::string(130'000, 'v')}};
    CHECK(write_properties(parts, 2).error().code == errc::too_large);
}

TEST_CASE("Frames are cut at any byte, and what is no AMQP is refused") {
    std::string sent;
    amqp_queue_declare_ok_t fields{};
    fields.queue = bytes_of("celery");
    fields.message_count = 7;
    append_method(sent, 3, AMQP_QUEUE_DECLARE_OK_METHOD, &fields);
    append_content(sent, 1, "pp", std::string(10'000, 'b'), 4096);
    append_heartbeat(sent);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, sent.size()}) {
        frame_reader reader;
        std::vector<std::string> types;
        std::size_t body = 0;
        for (std::size_t at = 0; at < sent.size(); at += piece) {
            reader.append(std::string_view(sent).substr(at, piece));
            for (;;) {
                auto next = reader.next();
                REQUIRE(next);
                if (!*next)
                    break;
                types.push_back(std::to_string((*next)->type) + "/" +
                                std::to_string((*next)->channel));
                if ((*next)->type == AMQP_FRAME_BODY)
                    body += (*next)->payload.size();
            }
        }
        CHECK(types == std::vector<std::string>{"1/3", "2/1", "3/1", "3/1", "3/1", "8/0"});
        CHECK(body == 10'000);
    }
    for (const std::string bad :
         {"HTTP/1.1 400 Bad Request", "AMQP\1\1\0\x9 ", "\x1\0\0\x7f\xff\xff\xff          "}) {
        frame_reader reader;
        reader.append(bad + std::string(16, ' '));
        CHECK(reader.next().error().code == errc::corrupt);
    }
}

TEST_CASE("Only methods that servers send are read") {
    arena storage;
    std::string sent;
    amqp_queue_purge_t fields{};
    append_method(sent, 1, AMQP_QUEUE_PURGE_METHOD, &fields);
    frame_reader reader;
    reader.append(sent);
    CHECK(!read_method((*reader.next())->payload, storage));
    CHECK(!read_method("", storage));
    CHECK(!read_method(std::string_view("\0\x32\0\x0b\xff", 5), storage));
}

// The payload of connection.start with that many tables within each other.
std::string greeting(std::size_t depth) {
    const auto put_size = [](std::string& out, std::size_t n) {
        for (int shift = 24; shift >= 0; shift -= 8)
            out += static_cast<char>((n >> shift) & 0xff);
    };
    const std::string_view member("\1xF", 3);
    std::string out("\0\x0a\0\x0a\0\x09", 6);
    for (; depth > 0; --depth) {
        put_size(out, depth * (member.size() + 4));
        out += member;
    }
    put_size(out, 0); // of the innermost table
    for (const std::string_view text : {"PLAIN", "en_US"}) {
        put_size(out, text.size());
        out += text;
    }
    return out;
}

TEST_CASE("A server cannot use up the stack with nested tables") {
    arena storage;
    const auto allowed = greeting(2'000); // what is read points into it
    const auto deep = read_method(allowed, storage);
    REQUIRE(deep);
    CHECK(text_of(deep->as<amqp_connection_start_t>().mechanisms) == "PLAIN");
    CHECK(!read_method(greeting(150'000), storage));
}

TEST_CASE("Delays are routed bit by bit as kombu routes them") {
    CHECK(delayed_routing_key(std::chrono::seconds(5), "qq") ==
          "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.1.qq");
    CHECK(delayed_routing_key(delay_max, "q").starts_with("1.1.1.1.1.1.1.1.1.1.1.1.1.1.1."));
    const auto steps = delayed_delivery_steps(true);
    CHECK(steps.size() == 1 + 28 * 4);
    const auto find = [&](step::what kind, const std::string& name, const std::string& source) {
        for (const auto& one : steps)
            if (one.kind == kind && one.name == name && one.source == source)
                return one;
        return step();
    };
    CHECK(find(step::what::bind_queue, "celery_delayed_27", "celery_delayed_27").key == "1.#");
    CHECK(find(step::what::bind_exchange, "celery_delayed_26", "celery_delayed_27").key == "0.#");
    CHECK(find(step::what::bind_queue, "celery_delayed_25", "celery_delayed_25").key == "*.*.1.#");
    CHECK(
        find(step::what::bind_exchange, "celery_delayed_delivery", "celery_delayed_0").key.size() ==
        27 * 2 + 3);
    const auto two = find(step::what::queue, "celery_delayed_2", "");
    CHECK(two.durable);
    CHECK(two.arguments.get().num_entries == 5);
}

TEST_CASE("URLs of RabbitMQ name hosts, login, virtual host and TLS") {
    auto plain = parse_address("amqp://");
    REQUIRE(plain);
    CHECK(plain->name() == "amqp://localhost:5672//");
    CHECK(plain->hosts[0].user == "guest");
    CHECK(plain->hosts[0].password == "guest");

    auto one = parse_address("amqps://us%40er:p%2Fw@mq.example:5673/jo%2Fbs?verify=verify_none"
                             "&cacertfile=/etc/ca.pem&heartbeat=7");
    REQUIRE(one);
    CHECK(one->hosts[0].user == "us@er");
    CHECK(one->hosts[0].password == "p/w");
    CHECK(one->hosts[0].vhost == "jo/bs");
    CHECK(one->hosts[0].port == 5673);
    CHECK(one->hosts[0].tls);
    CHECK(!one->tls.verify);
    CHECK(one->tls.ca_file == "/etc/ca.pem");
    CHECK(one->heartbeat == 7);
    CHECK(one->name().find("p/w") == std::string::npos);

    auto many = parse_address("amqp://u:p@h1//;amqp://h2:1//,[::1]:2");
    REQUIRE(many);
    CHECK(many->name() == "amqp://h1:5672//,amqp://h2:1//,amqp://[::1]:2//");
    CHECK(many->hosts[2].password == "p");
    CHECK(parse_address("amqps://h")->hosts[0].port == 5671);
}

TEST_CASE("A wrong URL is refused with its reason and without its password") {
    for (const auto* url :
         {"", "http://h", "h", "amqp://u:secret@h:0", "amqp://u:secret@h:x", "amqp://u:secret@[::1",
          "amqp://u:secret%zz@h", "amqp://u:secret@h/%2", "amqp://u:secret@h?verify=maybe",
          "amqp://u:secret@h?what=1", "amqp://u:secret@h?heartbeat=-1", "amqp://u:secret@h h"}) {
        const auto parsed = parse_address(url);
        REQUIRE(!parsed);
        CHECK(parsed.error().code == errc::invalid);
        CHECK(parsed.error().message.find("secret") == std::string::npos);
    }
}

TEST_CASE("The scheme chooses the broker, and no failure tells a password") {
    metrics counted;
    const auto open = [&](const std::string& url) {
        carillon::jobs::broker_options options;
        options.url = url;
        return carillon::jobs::open_broker(options, silent_log(), counted);
    };
    CHECK((*open("amqp://u:secret@127.0.0.1/jobs"))->name() == "amqp://127.0.0.1:5672/jobs");
    CHECK((*open("redis://:secret@127.0.0.1"))->name().find("redis://127.0.0.1:6379") == 0);
    for (const auto* url : {"amqp://u:secret@h:x", "kafka://u:secret@h", ""}) {
        const auto failed = open(url);
        REQUIRE(!failed);
        CHECK(failed.error().code == errc::invalid);
        CHECK(failed.error().message.find("secret") == std::string::npos);
    }
}
