#include "jobs/broker/amqp_codec.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace carillon::jobs::amqp {

namespace {

constexpr std::size_t head_bytes = 7;
constexpr char frame_end = static_cast<char>(AMQP_FRAME_END);
constexpr std::uint16_t basic_class = 60;
// Above this, what is left of a read is moved to the front instead of growing for ever.
constexpr std::size_t compact_bytes = std::size_t{64} * 1024;

template <class T>
T big_endian(const char* at) noexcept {
    T out = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        out = static_cast<T>(static_cast<T>(out << 8) | static_cast<unsigned char>(at[i]));
    return out;
}

template <class T>
void append_big_endian(std::string& out, T number) {
    for (std::size_t i = sizeof(T); i-- > 0;)
        out += static_cast<char>((number >> (8 * i)) & 0xff);
}

void append_head(std::string& out, std::uint8_t type, std::uint16_t channel, std::size_t bytes) {
    out += static_cast<char>(type);
    append_big_endian(out, channel);
    append_big_endian(out, static_cast<std::uint32_t>(bytes));
}

// What a server says to a client; anything else is not even decoded.
bool is_for_clients(amqp_method_number_t number) noexcept {
    constexpr std::array known{
        AMQP_CONNECTION_START_METHOD,
        AMQP_CONNECTION_TUNE_METHOD,
        AMQP_CONNECTION_OPEN_OK_METHOD,
        AMQP_CONNECTION_CLOSE_METHOD,
        AMQP_CONNECTION_CLOSE_OK_METHOD,
        AMQP_CONNECTION_BLOCKED_METHOD,
        AMQP_CONNECTION_UNBLOCKED_METHOD,
        AMQP_CHANNEL_OPEN_OK_METHOD,
        AMQP_CHANNEL_CLOSE_METHOD,
        AMQP_CHANNEL_CLOSE_OK_METHOD,
        AMQP_CHANNEL_FLOW_METHOD,
        AMQP_EXCHANGE_DECLARE_OK_METHOD,
        AMQP_EXCHANGE_BIND_OK_METHOD,
        AMQP_QUEUE_DECLARE_OK_METHOD,
        AMQP_QUEUE_BIND_OK_METHOD,
        AMQP_QUEUE_DELETE_OK_METHOD,
        AMQP_BASIC_QOS_OK_METHOD,
        AMQP_BASIC_CONSUME_OK_METHOD,
        AMQP_BASIC_CANCEL_METHOD,
        AMQP_BASIC_CANCEL_OK_METHOD,
        AMQP_BASIC_RETURN_METHOD,
        AMQP_BASIC_DELIVER_METHOD,
        AMQP_BASIC_ACK_METHOD,
        AMQP_BASIC_NACK_METHOD,
        AMQP_CONFIRM_SELECT_OK_METHOD,
    };
    return std::find(known.begin(), known.end(), number) != known.end();
}

} // namespace

void frame_reader::append(std::string_view received) {
    if (taken_ == held_.size()) {
        held_.clear();
        taken_ = 0;
    } else if (taken_ > compact_bytes) {
        held_.erase(0, taken_);
        taken_ = 0;
    }
    held_ += received;
}

result<std::optional<frame>> frame_reader::next() {
    const auto left = held_.size() - taken_;
    if (left < head_bytes + 1)
        return std::optional<frame>();
    const char* at = held_.data() + taken_;
    if (at[0] == 'A')
        return failure{errc::corrupt, "the server speaks another version of AMQP"};
    const std::size_t bytes = big_endian<std::uint32_t>(at + 3);
    if (bytes > frame_bytes_max)
        return failure{errc::corrupt, "the server sent a frame of " + std::to_string(bytes) +
                                          " bytes, or no AMQP at all"};
    if (left < head_bytes + bytes + 1)
        return std::optional<frame>();
    if (at[head_bytes + bytes] != frame_end)
        return failure{errc::corrupt, "the server sent a frame without its end"};
    taken_ += head_bytes + bytes + 1;
    return std::optional(frame{static_cast<std::uint8_t>(at[0]), big_endian<std::uint16_t>(at + 1),
                               std::string_view(at + head_bytes, bytes)});
}

result<method> read_method(std::string_view payload, arena& storage) {
    const failure bad{errc::corrupt, "the server sent a method that cannot be read"};
    if (payload.size() < 4 || payload.size() > method_bytes_max)
        return bad;
    method out;
    out.number = big_endian<std::uint32_t>(payload.data());
    if (!is_for_clients(out.number))
        return bad;
    if (amqp_decode_method(out.number, storage.get(), bytes_of(payload.substr(4)), &out.fields) < 0)
        return bad;
    return out;
}

bool append_method(std::string& out, std::uint16_t channel, amqp_method_number_t number,
                   const void* fields) {
    // methods are small, but a login's table and a queue's arguments are the user's
    std::array<char, 16 * 1024> encoded;
    const int size =
        amqp_encode_method(number, const_cast<void*>(fields), {encoded.size(), encoded.data()});
    if (size < 0)
        return false;
    append_head(out, AMQP_FRAME_METHOD, channel, 4 + static_cast<std::size_t>(size));
    append_big_endian(out, number);
    out.append(encoded.data(), static_cast<std::size_t>(size));
    out += frame_end;
    return true;
}

void append_content(std::string& out, std::uint16_t channel, std::string_view properties,
                    std::string_view body, std::size_t frame_max) {
    append_head(out, AMQP_FRAME_HEADER, channel, 12 + properties.size());
    append_big_endian(out, basic_class);
    append_big_endian(out, std::uint16_t{0});
    append_big_endian(out, std::uint64_t{body.size()});
    out += properties;
    out += frame_end;
    const auto room = frame_max - head_bytes - 1;
    while (!body.empty()) {
        const auto piece = body.substr(0, room);
        append_head(out, AMQP_FRAME_BODY, channel, piece.size());
        out += piece;
        out += frame_end;
        body.remove_prefix(piece.size());
    }
}

void append_heartbeat(std::string& out) {
    append_head(out, AMQP_FRAME_HEARTBEAT, 0, 0);
    out += frame_end;
}

std::optional<content_header> read_content_header(std::string_view payload) noexcept {
    if (payload.size() < 14 || big_endian<std::uint16_t>(payload.data()) != basic_class)
        return std::nullopt;
    return content_header{big_endian<std::uint64_t>(payload.data() + 4), payload.substr(12)};
}

} // namespace carillon::jobs::amqp
