// The receiving half of RFC 6455: bytes in, events out. No socket, no clock, no thread.
//
// Every way of cutting the same byte stream into pieces yields the same events, except that the `payload` of a
// text or binary message is always whole. Every refusal names the close code to send. Between two messages
// a receiver owns no heap memory; it allocates only while a message is incomplete, in step with what has
// arrived, never with what a header announces.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "wire/utf8.hpp"
#include "wire/ws/deflate.hpp"
#include <carillon/base/bytes.hpp>

namespace carillon::wire::ws {

enum class opcode : std::uint8_t {
    continuation = 0,
    text = 1,
    binary = 2,
    close = 8,
    ping = 9,
    pong = 10
};

// Who sends what is received: a client masks its frames, a server must not (section 5.1).
enum class sent_by : std::uint8_t { client, server };

class receiver {
public:
    enum class what : std::uint8_t {
        need_more, // all input was taken; feed more
        text,      // `payload` is a whole message of valid UTF-8
        binary,    // `payload` is a whole message
        ping,      // `payload` is to be sent back
        pong,
        close,   // the peer closes, `payload` is its reason; nothing follows
        refused, // the peer broke the protocol or a limit: close with `code`; nothing follows
    };
    struct event {
        what kind;
        // Of close: what the peer gave, 1005 when it gave none. Of refused: what to send.
        std::uint16_t code = 0;
        // Valid until the next call of next(), and as long as the input's memory.
        bytes_view payload = {};
        // Of refused: one phrase for the log and the close reason, at most 123 bytes.
        const char* why = "";
    };

    // `message_bytes_max`: larger messages are refused with 1009 as soon as the header or the inflated size tells.
    // `compressed`: whether permessage-deflate was agreed on; without it RSV1 is refused.
    receiver(std::uint32_t message_bytes_max, bool compressed,
             sent_by peer = sent_by::client) noexcept;
    ~receiver();
    receiver(receiver&&) noexcept;

    // Takes bytes from the front of `input` (unmasking them in place) up to and including the end of the next event.
    // Call again until it says need_more. After close or refused all input is taken and discarded.
    event next(std::span<std::byte>& input, inflater& shared);

private:
    struct partial; // what has arrived of a message or control frame that is not whole yet
    struct frame_header;
    enum class parsed : std::uint8_t { whole, cut, refused };

    event advance(std::span<std::byte>& input, inflater& shared);
    parsed take_header(std::span<std::byte>& input, frame_header& header, event& why);
    parsed parse_header(bytes_view seen, frame_header& header, event& why) const noexcept;
    bool sound_opening(std::uint8_t first, event& why) const noexcept;
    bool sound_length(const frame_header& header, event& why) const noexcept;
    event whole_message(const frame_header& header, std::span<std::byte> payload, inflater& shared);
    event finished_message(inflater& shared);
    event inflated_message(opcode kind, bytes_view payload, inflater& shared);
    void begin_frame(const frame_header& header);
    event continue_frame(std::span<std::byte>& input, inflater& shared);
    partial& incomplete();
    void drop_delivered() noexcept;

    std::unique_ptr<partial> partial_;
    std::uint32_t message_bytes_max_;
    std::uint8_t header_[14]; // the beginning of a frame header that is cut
    std::uint8_t header_size_ = 0;
    bool compressed_ : 1;
    bool masked_ : 1;            // the peer is a client
    bool delivered_ : 1 = false; // the last event's payload lies in partial_
    bool ended_ : 1 = false;     // close or refused was reported
};

} // namespace carillon::wire::ws
