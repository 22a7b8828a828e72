#include "wire/layer/message.hpp"

#include <array>
#include <cmath>
#include <utility>

#include <openssl/rand.h>
#include <zlib.h>

#include "wire/msgpack.hpp"
#include "wire/utf8.hpp"
#include <carillon/base/assert.hpp>
#include <carillon/wire/json.hpp>

namespace carillon::wire::layer {

namespace {

constexpr std::string_view type_name = "type";
constexpr std::string_view addresses_name = "__asgi_channel__";

failure invalid(std::string why) { return {errc::invalid, std::move(why)}; }
failure corrupt(std::string why) { return {errc::corrupt, std::move(why)}; }

// What stops a value from being JSON that every reader takes, or nothing.
result<void> check_json(const value& v, std::size_t levels);

result<void> check_json_text(std::string_view text) {
    if (!is_utf8(as_bytes(text)))
        return invalid("A text is not valid UTF-8.");
    return {};
}

result<void> check_json_container(const value& v, std::size_t levels) {
    if (levels == 0)
        return failure{errc::too_large, "The value is nested too deep."};
    if (const auto* items = v.if_array()) {
        for (const auto& item : *items)
            if (auto checked = check_json(item, levels - 1); !checked)
                return checked;
        return {};
    }
    for (const auto& [name, content] : *v.if_object()) {
        if (auto checked = check_json_text(name); !checked)
            return checked;
        if (auto checked = check_json(content, levels - 1); !checked)
            return checked;
    }
    return {};
}

result<void> check_json(const value& v, std::size_t levels) {
    if (const auto* text = v.if_string())
        return check_json_text(*text);
    if (v.is_array() || v.is_object())
        return check_json_container(v, levels);
    if (v.is_bytes())
        return invalid("JSON has no bytes.");
    if (const auto* d = v.if_double(); d && !std::isfinite(*d))
        return invalid("JSON has no NaN and no infinities.");
    return {};
}

// One member after those that are there.
result<void> append_member(std::string& body, serializer format, std::string_view name,
                           const value& content, bool is_first) {
    // The message itself is a container.
    if (format == serializer::msgpack) {
        if (auto done = append_msgpack_text(body, name); !done)
            return done;
        return append_msgpack(body, content, msgpack_depth_max - 1);
    }
    if (auto checked = check_json_text(name); !checked)
        return checked;
    if (auto checked = check_json(content, json_depth_max - 1); !checked)
        return checked;
    if (!is_first)
        body += ',';
    append_json_string(body, name);
    body += ':';
    append_json(body, content);
    return {};
}

void append_msgpack_name(std::string& out, std::string_view name) {
    if (append_msgpack_text(out, name))
        return;
    std::string repaired;
    append_replacing(repaired, name);
    const bool done = append_msgpack_text(out, repaired).has_value();
    CARILLON_ASSERT(done, "what was repaired is valid UTF-8");
}

void append_addresses_msgpack(std::string& out, std::span<const std::string_view> to,
                              bool as_list) {
    append_msgpack_name(out, addresses_name);
    if (as_list)
        append_msgpack_array_head(out, to.size());
    for (const auto name : to)
        append_msgpack_name(out, name);
}

void append_addresses_json(std::string& out, std::span<const std::string_view> to, bool as_list) {
    out += ',';
    append_json_string(out, addresses_name);
    out += as_list ? ":[" : ":";
    for (std::size_t i = 0; i < to.size(); ++i) {
        if (i > 0)
            out += ',';
        append_json_string(out, to[i]);
    }
    if (as_list)
        out += ']';
}

// The names under "__asgi_channel__": a text, a list of texts, or nothing.
result<std::vector<std::string>> addresses_of(const value* named) {
    std::vector<std::string> out;
    if (!named)
        return out;
    if (const auto* one = named->if_string()) {
        out.push_back(*one);
        return out;
    }
    const auto* items = named->if_array();
    if (!items)
        return corrupt("The channels of the message are no text and no list.");
    out.reserve(items->size());
    for (const auto& item : *items) {
        const auto* name = item.if_string();
        if (!name)
            return corrupt("A channel of the message is no text.");
        out.push_back(*name);
    }
    return out;
}

result<decoded_message> message_of(value&& content) {
    auto* members = content.if_object();
    if (!members)
        return corrupt("The message is no map.");
    const auto* type = content["type"].if_string();
    if (!type)
        return corrupt("The message has no text under \"type\".");
    auto channels = addresses_of(members->find(addresses_name));
    if (!channels)
        return channels.error();
    decoded_message out;
    out.type = *type;
    out.channels = std::move(*channels);
    members->erase(type_name);
    members->erase(addresses_name);
    out.members = std::move(*members);
    return out;
}

unix_seconds present() {
    return std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
}

} // namespace

result<packed_event> packed_event::pack(std::string_view type, const object& members,
                                        serializer format) {
    packed_event out;
    out.format_ = format;
    out.count_ = 1 + members.size();
    // Enough for most events; growing by doubling would copy the first bytes several times.
    out.body_.reserve(256);
    if (auto done = append_member(out.body_, format, type_name, type, true); !done)
        return done.error();
    for (const auto& [name, content] : members) {
        if (name == type_name || name == addresses_name)
            return invalid("A member of an event cannot be named \"" + name + "\".");
        if (auto done = append_member(out.body_, format, name, content, false); !done)
            return failure{done.error().code,
                           "Member \"" + name + "\" cannot be sent: " + done.error().message};
    }
    return out;
}

message_codec::message_codec(const codec_options& options)
    : format_(options.format), prefix_bytes_(options.random_prefix_bytes),
      age_max_(options.age_max) {
    keys_.reserve(options.keys.size());
    for (const auto& text : options.keys)
        keys_.emplace_back(text);
}

std::string message_codec::encode(const packed_event& e, addressing how,
                                  std::span<const std::string_view> to) const {
    CARILLON_ASSERT(e.format_ == format_, "an event is packed as its layer serializes");
    CARILLON_ASSERT(how != addressing::one || to.size() == 1, "a direct send has one address");
    const bool addressed = how != addressing::none;
    const bool as_list = how == addressing::list;

    std::size_t size = prefix_bytes_ + e.body_.size() + 32;
    for (const auto name : to)
        size += name.size() + 8;
    std::string out;
    out.reserve(size);
    // The plaintext of a token starts anew; otherwise the message is put together in its place.
    const std::size_t begin = keys_.empty() ? prefix_bytes_ : 0;
    out.resize(begin);
    if (format_ == serializer::msgpack) {
        append_msgpack_map_head(out, e.count_ + (addressed ? 1 : 0));
        out += e.body_;
        if (addressed)
            append_addresses_msgpack(out, to, as_list);
    } else {
        out += '{';
        out += e.body_;
        if (addressed)
            append_addresses_json(out, to, as_list);
        out += '}';
    }
    if (!keys_.empty())
        out = std::string(prefix_bytes_, '\0') + keys_.front().encrypt(out, present());
    if (prefix_bytes_ > 0) {
        const bool done = RAND_bytes(reinterpret_cast<unsigned char*>(out.data()),
                                     static_cast<int>(prefix_bytes_)) == 1;
        CARILLON_ASSERT(done, "the system gives random bytes");
    }
    return out;
}

result<decoded_message> message_codec::decode(std::string_view data, unix_seconds now) const {
    if (data.size() < prefix_bytes_)
        return corrupt("The message is shorter than its random prefix.");
    data.remove_prefix(prefix_bytes_);
    std::optional<std::string> plain;
    if (!keys_.empty()) {
        for (const auto& key : keys_)
            if ((plain = key.decrypt(data, now, age_max_)))
                break;
        if (!plain)
            return corrupt("No key decrypts the message, or it is too old.");
        data = *plain;
    }
    auto content = format_ == serializer::msgpack ? parse_msgpack(data) : parse_json(data);
    if (!content)
        return corrupt(content.error().message);
    return message_of(std::move(*content));
}

std::size_t host_index(std::string_view text, std::size_t hosts) noexcept {
    const auto sum = ::crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size());
    // Not in integers: from 186 hosts on, the rounding of the doubles shows.
    const double share = 4096.0 / static_cast<double>(hosts);
    return static_cast<std::size_t>(static_cast<double>(sum & 4095u) / share);
}

std::string_view non_local_name(std::string_view channel) noexcept {
    const auto mark = channel.find('!');
    return mark == channel.npos ? channel : channel.substr(0, mark + 1);
}

} // namespace carillon::wire::layer
