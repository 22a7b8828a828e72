#include "wire/fernet.hpp"

#include <doctest/doctest.h>

#include "wire/base64.hpp"
#include "wire/layer/test_vectors.hpp"

namespace carillon::wire {

namespace {

using namespace std::chrono_literals;
using layer::test::items_of;
using layer::test::token_time;
using layer::test::unhex;

const value& encryption() {
    return layer::test::vectors()["core_layer_message_bytes"]["encrypted"];
}

fernet_key key_of(std::size_t index) {
    return fernet_key(
        items_of(encryption()["key_setup"]["symmetric_encryption_keys"]).at(index).to_text());
}

constexpr std::string_view odd_sized = "a message that is no multiple of the block";

} // namespace

TEST_CASE("tokens of Python are opened, and made again byte by byte") {
    const auto key = key_of(0);
    const auto vector = unhex(encryption()["key_setup"]["pinned_iv_hex"].to_text());
    for (const auto& v : items_of(encryption()["messages"])) {
        CAPTURE(v["name"].to_text());
        const auto token = v["fernet_token_ascii"].to_text();
        const auto plain = unhex(v["msgpack_hex"].to_text());
        CHECK(key.decrypt(token, token_time, std::nullopt) == plain);
        CHECK(key.encrypt(plain, token_time, as_bytes(vector).first<16>()) == token);
    }
    const auto& second = encryption()["message_under_second_key"];
    const auto token = second["fernet_token_ascii"].to_text();
    CHECK(key_of(1).decrypt(token, token_time, std::nullopt));
    CHECK_FALSE(key.decrypt(token, token_time, std::nullopt));
}

TEST_CASE("texts of every length around the block come back") {
    const auto key = key_of(0);
    for (std::size_t size = 0; size < 70; ++size) {
        const std::string plain(size, '\x10');
        CHECK(key.decrypt(key.encrypt(plain, token_time), token_time, 0s) == plain);
    }
    const std::string large(3'000'001, 'x');
    CHECK(key.decrypt(key.encrypt(large, token_time), token_time, 0s) == large);
}

TEST_CASE("two tokens of one text differ") {
    const auto key = key_of(0);
    CHECK(key.encrypt("x", token_time) != key.encrypt("x", token_time));
}

TEST_CASE("a copy of a key opens what the key made") {
    const auto token = [] {
        const fernet_key first("one");
        const fernet_key copy(first);
        return copy.encrypt("x", token_time);
    }();
    CHECK(fernet_key("one").decrypt(token, token_time, std::nullopt) == "x");
    CHECK_FALSE(fernet_key("One").decrypt(token, token_time, std::nullopt));
}

TEST_CASE("with an age limit a token is valid up to that age and 60 s into the future") {
    const auto key = key_of(0);
    const auto token = key.encrypt("x", token_time);
    CHECK(key.decrypt(token, token_time + 70s, 70s));
    CHECK_FALSE(key.decrypt(token, token_time + 71s, 70s));
    CHECK(key.decrypt(token, token_time - 60s, 70s));
    CHECK_FALSE(key.decrypt(token, token_time - 61s, 70s));
    CHECK(key.decrypt(token, token_time + 1'000'000h, std::nullopt));
    CHECK(key.decrypt(token, token_time - 400'000h, std::nullopt));

    for (const auto far : {unix_seconds::max(), unix_seconds::min()}) {
        const auto odd = key.encrypt("x", far);
        CHECK_FALSE(key.decrypt(odd, token_time, 70s));
        CHECK(key.decrypt(odd, token_time, std::nullopt) == "x");
    }
}

TEST_CASE("a token with any bit changed, cut or longer is refused") {
    const auto key = key_of(0);
    const auto token = key.encrypt(odd_sized, token_time);
    auto data = base64_decode(token, base64_alphabet::url_safe).value();
    for (std::size_t i = 0; i < data.size() * 8; ++i) {
        const auto bit = std::byte{1} << (i % 8);
        data[i / 8] ^= bit;
        REQUIRE_FALSE(
            key.decrypt(base64_encode(data, base64_alphabet::url_safe), token_time, std::nullopt));
        data[i / 8] ^= bit;
    }
    for (std::size_t size = 0; size < token.size(); ++size)
        REQUIRE_FALSE(key.decrypt(token.substr(0, size), token_time, std::nullopt));
    while (!data.empty()) {
        data.pop_back();
        REQUIRE_FALSE(
            key.decrypt(base64_encode(data, base64_alphabet::url_safe), token_time, std::nullopt));
    }
    for (const std::string& wrong : {token + "AAAA", ' ' + token, token + '\n', token + "===="})
        CHECK_FALSE(key.decrypt(wrong, token_time, std::nullopt));
    CHECK(key.decrypt(token, token_time, std::nullopt) == odd_sized);
}

} // namespace carillon::wire
