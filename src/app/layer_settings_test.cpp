// What the settings of the channel layer come to: options, masked addresses, warnings.

#include <doctest/doctest.h>

#include "app/layer_settings.hpp"

using namespace carillon;
using namespace carillon::app;

namespace {

settings with_layer(std::string url) {
    settings config;
    config.channel_layer = std::move(url);
    return config;
}

} // namespace

TEST_CASE("the memory layer takes its options from the settings") {
    settings config;
    config.channel_capacity = 7;
    config.channel_expiry = std::chrono::seconds(8);
    CHECK_FALSE(layer_on_redis(config));
    const auto options = layer_options(config);
    CHECK(options.capacity == 7);
    CHECK(options.expiry == std::chrono::seconds(8));
    CHECK(options.prefix == "asgi");
    CHECK_FALSE(options.pubsub_names);
    CHECK(shown_layer(config) == "memory:");
    CHECK_FALSE(layer_warning(config));
}

TEST_CASE("every setting of a Redis layer reaches its options") {
    auto config = with_layer("redis://h1,h2");
    config.channel_prefix = "shop";
    config.channel_capacity = 1;
    config.channel_capacities = {"specific.*!g.*=20", "a==3", "*=4"};
    config.channel_node_capacity = 5;
    config.channel_expiry = std::chrono::seconds(6);
    config.group_expiry = std::chrono::seconds(7);
    config.channel_keys = {"new", "old"};
    config.channel_serializer = "json";
    config.channel_random_prefix = 8;
    config.channel_send_timeout = std::chrono::seconds(9);
    config.channel_settle_time = std::chrono::seconds(3);
    config.channel_unconfirmed_max = 10;
    config.channel_undelivered_max = 11;
    config.channel_message_bytes_max = 12'000;
    const auto options = redis_options(config);
    REQUIRE(options);
    CHECK(options->servers.hosts.size() == 2);
    CHECK_FALSE(options->servers.pubsub);
    CHECK(options->common.prefix == "shop");
    CHECK(options->common.capacity == 1);
    REQUIRE(options->capacities.size() == 3);
    CHECK(options->capacities[0].pattern == "specific.*!g.*");
    CHECK(options->capacities[0].capacity == 20);
    CHECK(options->capacities[1].pattern == "a=");
    CHECK(options->node_capacity == 5);
    CHECK(options->common.expiry == std::chrono::seconds(6));
    CHECK(options->common.group_expiry == std::chrono::seconds(7));
    CHECK(options->codec.keys == std::vector<std::string>{"new", "old"});
    CHECK(options->codec.format == wire::layer::serializer::json);
    CHECK(options->codec.random_prefix_bytes == 8);
    CHECK(options->send_timeout == std::chrono::seconds(9));
    CHECK(options->settle_time == std::chrono::seconds(3));
    CHECK(options->unconfirmed_events_max == 10);
    CHECK(options->undelivered_events_max == 11);
    CHECK(options->message_bytes_max == 12'000);
}

TEST_CASE("defaults are those of the layer itself") {
    const auto options = redis_options(with_layer("redis://h"));
    const channels::redis_layer_options plain;
    REQUIRE(options);
    CHECK(options->common.prefix == plain.common.prefix);
    CHECK(options->common.capacity == plain.common.capacity);
    CHECK(options->common.expiry == plain.common.expiry);
    CHECK(options->common.group_expiry == plain.common.group_expiry);
    CHECK(options->node_capacity == plain.node_capacity);
    CHECK(options->codec.format == plain.codec.format);
    CHECK(options->codec.random_prefix_bytes == plain.codec.random_prefix_bytes);
    CHECK(options->send_timeout == plain.send_timeout);
    CHECK(options->settle_time == plain.settle_time);
    CHECK(options->unconfirmed_events_max == plain.unconfirmed_events_max);
    CHECK(options->undelivered_events_max == plain.undelivered_events_max);
    CHECK(options->message_bytes_max == plain.message_bytes_max);
}

TEST_CASE("with pubsub consumers' channels are named as pubsub names them") {
    const auto config = with_layer("redis+pubsub://h");
    CHECK(layer_on_redis(config));
    CHECK(layer_options(config).pubsub_names);
    CHECK_FALSE(layer_options(with_layer("redis://h")).pubsub_names);
}

TEST_CASE("the address is shown whole but for its passwords") {
    const std::pair<std::string, std::string> cases[] = {
        {"redis://h", "redis://h:6379/0"},
        {"rediss://user@h:1/2", "rediss://user@h:1/2"},
        {"redis+pubsub://:s3cret@h", "redis+pubsub://:***@h:6379/0"},
        {"rediss+pubsub://u:s3cret@h", "rediss+pubsub://u:***@h:6379/0"},
        {"unix://u:s3cret@/run/r.sock?db=4", "unix://u:***@/run/r.sock?db=4"},
        {"unix+pubsub:///run/r.sock", "unix+pubsub:///run/r.sock?db=0"},
        {"redis+sentinel://:s3cret@h1,h2:5/master/1",
         "redis+sentinel://:***@h1:26379,h2:5/master/1"},
        {"redis+sentinel://h1/master?sentinel_password=s3cret",
         "redis+sentinel://h1:26379/master/0"},
        {"redis+pubsub+sentinel://h1/master", "redis+pubsub+sentinel://h1:26379/master/0"},
    };
    for (const auto& each : cases) {
        const auto& url = each.first;
        CAPTURE(url);
        CHECK(shown_layer(with_layer(url)) == each.second);
    }
    CHECK(shown_layer(with_layer("redis://:s3cret@h:bad")) == "********");
}

TEST_CASE("events that would cross a network readably are warned of") {
    for (const auto* fine :
         {"redis://127.0.0.1", "redis://localhost", "redis://[::1]", "unix:///run/r.sock",
          "rediss://10.0.0.1", "redis://127.0.0.9,127.0.0.10"}) {
        CAPTURE(fine);
        CHECK_FALSE(layer_warning(with_layer(fine)));
    }
    for (const auto* doubtful : {"redis://10.0.0.1", "redis://127.0.0.1,redis://:s3cret@db.intern",
                                 "redis+sentinel://h1,h2/m"}) {
        CAPTURE(doubtful);
        const auto warning = layer_warning(with_layer(doubtful));
        REQUIRE(warning);
        CHECK(warning->find("s3cret") == std::string::npos);
        auto encrypted = with_layer(doubtful);
        encrypted.channel_keys = {"k"};
        CHECK_FALSE(layer_warning(encrypted));
    }
}
