// The vectors of tests/data for tests: observed from channels_redis 4.0.0 and 4.3.0, with random bytes and clocks
// pinned.
#pragma once

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <carillon/wire/json.hpp>

namespace carillon::wire::layer::test {

// When the tokens of the vectors were made.
inline constexpr std::chrono::sys_seconds token_time{std::chrono::seconds{1'700'000'000}};

// The whole file. An unreadable one ends the test with an exception.
inline const value& vectors() {
    static const value all = [] {
        std::ifstream in(CARILLON_SOURCE_DIR "/tests/data/channel_layer_vectors.json",
                         std::ios::binary);
        return parse_json(std::string(std::istreambuf_iterator<char>(in), {})).value();
    }();
    return all;
}

// The items of a list; an exception when there is none, so that no loop runs over nothing unseen.
inline const array& items_of(const value& list) {
    const auto* items = list.if_array();
    if (!items || items->empty())
        throw error(errc::corrupt, "the vectors miss a list");
    return *items;
}

inline std::string unhex(std::string_view digits) {
    std::string out;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
    return out;
}

// A value as the vectors write it: {"__bytes_hex__": …} stands for bytes.
inline value meant(const value& written) {
    if (const auto* hex = written["__bytes_hex__"].if_string()) {
        const auto data = unhex(*hex);
        return bytes(as_bytes(data).begin(), as_bytes(data).end());
    }
    if (const auto* items = written.if_array()) {
        array out;
        for (const auto& item : *items)
            out.push_back(meant(item));
        return out;
    }
    if (const auto* members = written.if_object()) {
        object out;
        for (const auto& [name, content] : *members)
            out.set(name, meant(content));
        return out;
    }
    return written;
}

} // namespace carillon::wire::layer::test
