// What channels_redis would write, for the tests of the Redis layers, and the vectors observed from it.
#pragma once

#include <fstream>
#include <iterator>

#include "channels/redis/test_node.hpp"
#include "wire/layer/message.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::channels::redis::test {

inline std::string now_text() {
    return std::to_string(std::chrono::duration<double>(utc_now().time_since_epoch()).count());
}

// Puts a message into a queue as channels_redis does.
inline void put(const std::string& url, const std::string& key, std::string_view message) {
    ask(url, {"ZADD", key, now_text(), message});
    ask(url, {"EXPIRE", key, "60"});
}

inline std::string encoded(const event& e, std::vector<std::string_view> to,
                           wire::layer::message_codec::addressing how,
                           const wire::layer::codec_options& options = {}) {
    const wire::layer::message_codec codec(options);
    return codec.encode(
        wire::layer::packed_event::pack(e.type(), e.members(), options.format).value(), how, to);
}
inline std::string to_list(const event& e, std::vector<std::string_view> to) {
    return encoded(e, std::move(to), wire::layer::message_codec::addressing::list);
}
inline std::string to_one(const event& e, std::string_view to) {
    return encoded(e, {to}, wire::layer::message_codec::addressing::one);
}

// What channels_redis 4.0.0 and 4.3.0 were observed to write and to refuse.
inline const value& vectors() {
    static const value all = [] {
        std::ifstream file(CARILLON_SOURCE_DIR "/tests/data/channel_layer_vectors.json");
        const std::string text(std::istreambuf_iterator<char>(file), {});
        return parse_json(text).value();
    }();
    return all;
}

inline std::string from_hex(std::string_view hex) {
    std::string out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return out;
}

} // namespace carillon::channels::redis::test
