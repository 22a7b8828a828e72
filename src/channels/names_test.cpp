#include <doctest/doctest.h>

#include <string>

#include <carillon/channels/channel_layer.hpp>
#include <carillon/channels/event.hpp>

using namespace carillon;

TEST_CASE("names are judged as Channels' validators judge them") {
    struct judged {
        std::string name;
        bool as_group, as_channel;
    };
    const judged table[] = {
        {"room", true, true},
        {"room.1", true, true},
        {"room-1_2", true, true},
        {std::string(99, 'a'), true, true},
        {std::string(100, 'a'), false, false},
        {"", false, false},
        {"room 1", false, false},
        {"room:1", false, false},
        {"room/1", false, false},
        {"r\xc3\xb6om", false, false},
        {"room\n\n", false, false},
        {"room!", false, true},
        {"a!b", false, true},
        {"a!b!c", false, false},
        {"!", false, false},
        {"!b", false, false},
        {".", true, true},
        {"-", true, true},
        {"_", true, true},
        {"ROOM", true, true},
        {"a!b c", false, false},
        {"specific.0123456789abcdef0123456789abcdef!fedcba9876543210fedcba9876543210", false, true},
        {"specific..inmemory!AbCdEfGhIjKl", false, true},
        {"worker-queue", true, true},
        {"job?1", false, false},
        // Python's regular expressions let these pass by accident; a strict implementation refuses them.
        {"\xd9\xa1\xd9\xa2", false, false},
        {"room\n", false, false},
        {"a!\xc3\xa9", false, false},
        {std::string("a\0b", 3), false, false},
    };
    for (const auto& one : table) {
        CAPTURE(one.name);
        CHECK(is_group_name(one.name) == one.as_group);
        CHECK(is_channel_name(one.name) == one.as_channel);
    }
}

TEST_CASE("event types of the protocol itself are reserved") {
    for (const auto* type : {"", "_private", ".x", "websocket.send", "websocket.close",
                             "http.request", "lifespan.startup"})
        CHECK(is_reserved_event_type(type));
    for (const auto* type : {"x", "chat.message", "websocket", "https.x", "websocket_send", "X.Y"})
        CHECK_FALSE(is_reserved_event_type(type));
}

TEST_CASE("a handler's name is the type with its dots as underscores") {
    CHECK(handler_name("chat.message.new") == "chat_message_new");
    CHECK(handler_name("X.Y") == "X_Y");
    CHECK(event("a.b_c", {}).handler() == "a_b_c");
}
