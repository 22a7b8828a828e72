#include "wire/layer/message.hpp"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "wire/base64.hpp"
#include "wire/layer/test_vectors.hpp"
#include "wire/msgpack.hpp"

namespace carillon::wire::layer {

namespace {

using namespace std::chrono_literals;
using addressing = message_codec::addressing;
using test::items_of;
using test::meant;
using test::token_time;
using test::unhex;
using test::vectors;

const value& core() { return vectors()["core_layer_message_bytes"]; }
const value& pubsub() { return vectors()["pubsub_layer_message_bytes"]; }

// The keys of the vectors, the first for encryption.
std::vector<std::string> vector_keys() {
    std::vector<std::string> out;
    for (const auto& text : items_of(core()["encrypted"]["key_setup"]["symmetric_encryption_keys"]))
        out.emplace_back(text.to_text());
    return out;
}

// How a vector's message is addressed, and the event that is left without that.
struct addressed_event {
    std::string type;
    object members;
    addressing how = addressing::none;
    std::vector<std::string> channels;

    explicit addressed_event(const value& written) : members(*meant(written).if_object()) {
        type = members.find("type")->to_text();
        if (const auto* to = members.find("__asgi_channel__")) {
            how = to->is_array() ? addressing::list : addressing::one;
            if (to->is_array())
                for (const auto& name : *to->if_array())
                    channels.emplace_back(name.to_text());
            else
                channels.emplace_back(to->to_text());
        }
        members.erase("type");
        members.erase("__asgi_channel__");
    }

    std::string encoded(const message_codec& codec) const {
        const std::vector<std::string_view> to(channels.begin(), channels.end());
        return codec.encode(packed_event::pack(type, members, codec.format()).value(), how, to);
    }
};

// Reading gives the event of the vector.
void check_reads(const message_codec& codec, std::string_view data, const addressed_event& wanted) {
    const auto read = codec.decode(data, token_time);
    REQUIRE(read);
    CHECK(read->type == wanted.type);
    CHECK(read->members == wanted.members);
    CHECK(read->channels == wanted.channels);
}

std::string why_not(const message_codec& codec, std::string_view data) {
    const auto read = codec.decode(data, token_time);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == errc::corrupt);
    return read.error().message;
}

codec_options options_of(serializer format, std::uint32_t prefix) {
    codec_options o;
    o.format = format;
    o.random_prefix_bytes = prefix;
    return o;
}

} // namespace

TEST_CASE("core messages of Python in msgpack are read, and written byte by byte") {
    const message_codec codec{codec_options{}};
    for (const auto& v : items_of(core()["plain_msgpack"])) {
        CAPTURE(v["name"].to_text());
        const auto member = unhex(v["redis_member_hex"].to_text());
        const addressed_event event(v["dict"]);
        check_reads(codec, member, event);
        const auto written = event.encoded(codec);
        CHECK(written.size() == member.size());
        CHECK(written.substr(12) == member.substr(12));
        CHECK(written.substr(0, 12) != event.encoded(codec).substr(0, 12));
    }
}

TEST_CASE("encrypted core messages of Python are read, and ours hold the same plaintext") {
    codec_options o;
    o.keys = vector_keys();
    const message_codec codec(o);
    const fernet_key first(o.keys.front());
    for (const auto& v : items_of(core()["encrypted"]["messages"])) {
        CAPTURE(v["name"].to_text());
        const auto member = unhex(v["redis_member_hex"].to_text());
        const addressed_event event(v["dict"]);
        check_reads(codec, member, event);
        const auto written = event.encoded(codec);
        CHECK(written.size() == member.size());
        CHECK(first.decrypt(std::string_view(written).substr(12), token_time, std::nullopt) ==
              unhex(v["msgpack_hex"].to_text()));
        check_reads(codec, written, event);
    }
}

TEST_CASE("a message under the second key is read, one under no key is refused") {
    codec_options o;
    o.keys = vector_keys();
    const auto& v = core()["encrypted"]["message_under_second_key"];
    const auto member = unhex(v["redis_member_hex"].to_text());
    check_reads(message_codec(o), member, addressed_event(v["dict"]));
    o.keys.pop_back();
    CHECK(why_not(message_codec(o), member).starts_with("No key decrypts"));
}

TEST_CASE(
    "encrypted messages are refused above their age, plain ones in an encrypted layer always") {
    codec_options o;
    o.keys = vector_keys();
    o.age_max = 70s;
    const message_codec codec(o);
    const auto member =
        unhex(items_of(core()["encrypted"]["messages"]).front()["redis_member_hex"].to_text());
    CHECK(codec.decode(member, token_time + 70s));
    CHECK_FALSE(codec.decode(member, token_time + 71s));
    const auto plain =
        unhex(items_of(core()["plain_msgpack"]).front()["redis_member_hex"].to_text());
    CHECK(why_not(codec, plain).starts_with("No key decrypts"));
    CHECK_FALSE(message_codec{codec_options{}}.decode(member, token_time));
}

TEST_CASE("core messages of Python in JSON are read, with and without the random prefix") {
    const auto& json = core()["json_serializer_newest_only"];
    const auto check = [](const message_codec& codec, const value& v, std::size_t prefix) {
        CAPTURE(v["name"].to_text());
        const addressed_event event(v["dict"]);
        check_reads(codec, unhex(v["redis_member_hex"].to_text()), event);
        // Without spaces and escapes ours are shorter; the content and its order are the same.
        const auto written = event.encoded(codec);
        check_reads(codec, written, event);
        auto text = parse_json(std::string_view(written).substr(prefix)).value();
        CHECK(to_json(text) == to_json(v["dict"]));
    };
    const message_codec codec(options_of(serializer::json, 12));
    for (const auto& v : items_of(json["with_default_12_byte_prefix"]))
        check(codec, v, 12);
    const message_codec bare(options_of(serializer::json, 0));
    for (const auto& v : items_of(json["random_prefix_length_0"]))
        check(bare, v, 0);
}

TEST_CASE("pubsub messages of Python are read, and written byte by byte") {
    const message_codec plain(options_of(serializer::msgpack, 0));
    for (const auto& v : items_of(pubsub()["plain_msgpack"])) {
        const addressed_event event(v["dict"]);
        const auto payload = unhex(v["publish_payload_hex"].to_text());
        check_reads(plain, payload, event);
        CHECK(event.encoded(plain) == payload);
    }
    auto o = options_of(serializer::msgpack, 0);
    o.keys = vector_keys();
    const message_codec encrypted(o);
    for (const auto& v : items_of(pubsub()["encrypted_newest_only"]["messages"])) {
        const addressed_event event(v["dict"]);
        check_reads(encrypted, v["publish_payload_ascii"].to_text(), event);
        check_reads(encrypted, event.encoded(encrypted), event);
    }
    const message_codec json(options_of(serializer::json, 0));
    for (const auto& v : items_of(pubsub()["json_newest_only"])) {
        const addressed_event event(v["dict"]);
        check_reads(json, v["publish_payload_text"].to_text(), event);
        check_reads(json, event.encoded(json), event);
    }
}

TEST_CASE("JSON and encryption go together") {
    auto o = options_of(serializer::json, 12);
    o.keys = {"one"};
    const message_codec codec(o);
    const addressed_event event(
        parse_json(R"({"type": "x.y", "n": 9007199254740993, "__asgi_channel__": ["a!b", "c"]})")
            .value());
    check_reads(codec, event.encoded(codec), event);
}

TEST_CASE("what Python refuses is refused, what it reads is read, but for extension types") {
    const message_codec codec{codec_options{}};
    int accepted = 0, refused = 0;
    for (const auto& v : items_of(vectors()["decode_edge_cases"])) {
        // Those without bytes are about encryption and have tests of their own.
        if (v["redis_member_hex"].is_null())
            continue;
        const auto name = v["case"].to_text();
        CAPTURE(name);
        const auto member = unhex(v["redis_member_hex"].to_text());
        if (!v["expected"].to_text().starts_with("accept") || name.starts_with("ext_")) {
            CHECK_FALSE(why_not(codec, member).empty());
            ++refused;
            continue;
        }
        ++accepted;
        const auto read = codec.decode(member, token_time);
        REQUIRE(read);
        if (v["python_result"].is_object())
            check_reads(codec, member, addressed_event(v["python_result"]));
        else // {'type': 'x', b'k': 'a'}
            CHECK(read->members == object{{"k", "a"}});
    }
    CHECK(accepted == 4);
    CHECK(refused == 8);
    CHECK(codec
              .decode(unhex(vectors()["encode_errors_in_python"]["tuple_becomes_array"].to_text()),
                      token_time)
              ->members == object{{"d", array{1, 2}}});
}

TEST_CASE("what cannot be sent is refused when it is packed") {
    const auto refusal = [](const object& members, serializer format, std::string_view type = "x") {
        const auto packed = packed_event::pack(type, members, format);
        REQUIRE_FALSE(packed);
        return packed.error().code;
    };
    value deep = array{};
    for (int i = 0; i < 63; ++i)
        deep = array(1, deep);
    for (const auto format : {serializer::msgpack, serializer::json}) {
        CHECK(refusal({{"t", "\xff"}}, format) == errc::invalid);
        CHECK(refusal({{"\xff", 1}}, format) == errc::invalid);
        CHECK(refusal({{"t", object{{"\xff", 1}}}}, format) == errc::invalid);
        CHECK(refusal({}, format, "\xff") == errc::invalid);
        CHECK(refusal({{"type", "y"}}, format) == errc::invalid);
        CHECK(refusal({{"__asgi_channel__", "y"}}, format) == errc::invalid);
        CHECK(refusal({{"t", deep}}, format) == errc::too_large);
        // One level less goes through, and is read by ourselves.
        const message_codec codec(options_of(format, 0));
        const auto e = packed_event::pack("x", {{"t", deep.if_array()->front()}}, format).value();
        CHECK(codec.decode(codec.encode(e, addressing::none, {}), token_time));
    }
    const bytes data(1, std::byte{1});
    for (const value& v :
         {value(data), value(std::nan("")), value(std::numeric_limits<double>::infinity()),
          value(array{1, object{{"a", data}}})}) {
        CHECK(refusal({{"t", v}}, serializer::json) == errc::invalid);
        CHECK(packed_event::pack("x", {{"t", v}}, serializer::msgpack));
    }
}

TEST_CASE("a message is refused that is no map, has no type, or is addressed to what is no name") {
    const message_codec codec(options_of(serializer::msgpack, 0));
    const auto refusal = [&](const value& content) {
        std::string data;
        append_msgpack(data, content).value();
        return why_not(codec, data);
    };
    CHECK(refusal(nullptr) == "The message is no map.");
    CHECK(refusal("type") == "The message is no map.");
    CHECK(refusal(object{}) == "The message has no text under \"type\".");
    CHECK(refusal(object{{"type", 1}}) == "The message has no text under \"type\".");
    for (const value& to : {value(), value(1), value(object{}), value(array{"a", 1})})
        CHECK(refusal(object{{"type", "x"}, {"__asgi_channel__", to}}).find("channel") !=
              std::string::npos);
}

TEST_CASE("a message is refused that is shorter than the random prefix") {
    const message_codec codec{codec_options{}};
    for (std::size_t size = 0; size < 12; ++size)
        CHECK(why_not(codec, std::string(size, '\x80')).find("shorter") != std::string::npos);
}

TEST_CASE("an event may be addressed many times, and to names that are no text") {
    for (const auto format : {serializer::msgpack, serializer::json}) {
        const message_codec codec(options_of(format, 4));
        const auto e = packed_event::pack("x", {{"n", 1}}, format).value();
        const std::string_view none[1] = {}, two[] = {"a", "b!c"}, odd[] = {"a\xff"};
        const auto channels = [&](addressing how, std::span<const std::string_view> to) {
            const auto read = codec.decode(codec.encode(e, how, to), token_time);
            REQUIRE(read);
            CHECK(read->members == object{{"n", 1}});
            return read->channels;
        };
        using names = std::vector<std::string>;
        CHECK(channels(addressing::none, {}).empty());
        CHECK(channels(addressing::list, {}).empty());
        CHECK(channels(addressing::list, two) == names{"a", "b!c"});
        CHECK(channels(addressing::one, none) == names{""});
        CHECK(channels(addressing::one, odd) == names{"a\xef\xbf\xbd"});
        CHECK(channels(addressing::list, odd) == names{"a\xef\xbf\xbd"});
    }
}

TEST_CASE("a name is placed on the host that Python computes") {
    for (const auto& v : items_of(vectors()["shard_selection"]["cases"])) {
        CAPTURE(v["hashed_text"].to_text());
        for (const auto& [hosts, index] : *v["index_with_hosts"].if_object())
            CHECK(host_index(v["hashed_text"].to_text(), std::stoul(hosts)) ==
                  static_cast<std::size_t>(index.to_int()));
    }
}

TEST_CASE("with 186 hosts the doubles decide, not integers") {
    // "n2203" has 2048 as its low twelve bits: integers would say 93.
    CHECK(host_index("n2203", 2) == 1);
    CHECK(host_index("n2203", 4096) == 2048);
    CHECK(host_index("n2203", 186) == 92);
}

TEST_CASE("the non-local part of a name ends with its first exclamation mark") {
    CHECK(non_local_name("specific.ab!cd") == "specific.ab!");
    CHECK(non_local_name("a!b!c") == "a!");
    CHECK(non_local_name("room") == "room");
    CHECK(non_local_name("!") == "!");
    CHECK(non_local_name("").empty());
}

} // namespace carillon::wire::layer
