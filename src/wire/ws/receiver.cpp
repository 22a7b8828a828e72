#include "wire/ws/receiver.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "wire/ws/close_code.hpp"
#include "wire/ws/mask.hpp"

namespace carillon::wire::ws {

namespace {

constexpr std::size_t control_bytes_max = 125;

constexpr bool is_control(opcode kind) { return static_cast<std::uint8_t>(kind) >= 8; }

receiver::event refuse(std::uint16_t code, const char* why) {
    return {receiver::what::refused, code, {}, why};
}

receiver::event message_event(opcode kind, bytes_view payload) {
    return {kind == opcode::text ? receiver::what::text : receiver::what::binary, 0, payload, ""};
}

receiver::event close_event(bytes_view payload) {
    if (payload.empty())
        return {receiver::what::close, 1005, {}, ""};
    if (payload.size() == 1)
        return refuse(1002, "a close frame of one byte");
    const auto code = static_cast<std::uint16_t>(std::to_integer<unsigned>(payload[0]) << 8 |
                                                 std::to_integer<unsigned>(payload[1]));
    if (!may_be_received(code))
        return refuse(1002, "a close code that must not be sent");
    const auto reason = payload.subspan(2);
    if (!is_utf8(reason))
        return refuse(1007, "a close reason that is not UTF-8");
    return {receiver::what::close, code, reason, ""};
}

receiver::event control_event(opcode kind, bytes_view payload) {
    if (kind == opcode::close)
        return close_event(payload);
    return {kind == opcode::ping ? receiver::what::ping : receiver::what::pong, 0, payload, ""};
}

// Memory follows what has arrived: at most twice that, and no more than the message can still come
// to.
void append(bytes& message, bytes_view piece, std::size_t frame_rest, bool last_frame) {
    const auto size = message.size() + piece.size();
    if (size > message.capacity()) {
        const auto doubled = std::max(2 * message.capacity(), size);
        message.reserve(last_frame ? std::min(doubled, message.size() + frame_rest) : doubled);
    }
    message.insert(message.end(), piece.begin(), piece.end());
}

} // namespace

struct receiver::frame_header {
    opcode kind = opcode::continuation;
    bool fin = false;
    bool rsv1 = false;
    std::uint8_t size_bytes = 0; // of the header itself
    std::uint64_t length = 0;
    mask_key key{};
};

struct receiver::partial {
    // The message whose fragments are being gathered, as it came (compressed or not), unmasked.
    bytes message;
    bool in_message = false;
    opcode message_kind = opcode::text;
    bool message_compressed = false;
    utf8_checker checker; // of an uncompressed text

    // The frame whose payload is being taken.
    bool in_frame = false;
    bool frame_fin = false;
    opcode frame_kind = opcode::continuation;
    mask_key key{};
    std::uint32_t frame_size = 0;
    std::uint32_t frame_taken = 0;

    std::array<std::byte, control_bytes_max> control;
};

receiver::receiver(std::uint32_t message_bytes_max, bool compressed, sent_by peer) noexcept
    : message_bytes_max_(message_bytes_max), compressed_(compressed),
      masked_(peer == sent_by::client) {
    static_assert(sizeof(receiver) <= 48, "one for each connection, idle or not");
}
receiver::~receiver() = default;
receiver::receiver(receiver&&) noexcept = default;

receiver::event receiver::next(std::span<std::byte>& input, inflater& shared) {
    if (ended_) { // a peer may go on sending; section 5.5.1 has it discarded
        input = {};
        return {what::need_more};
    }
    if (delivered_)
        drop_delivered();
    const auto result = advance(input, shared);
    ended_ = result.kind == what::close || result.kind == what::refused;
    return result;
}

receiver::event receiver::advance(std::span<std::byte>& input, inflater& shared) {
    for (;;) {
        if (partial_ && partial_->in_frame) {
            const auto result = continue_frame(input, shared);
            if (result.kind != what::need_more || partial_->in_frame)
                return result;
        }
        frame_header header;
        event why{what::need_more};
        if (take_header(input, header, why) != parsed::whole)
            return why;
        const bool starts_message = header.kind != opcode::continuation;
        if (header.length <= input.size() &&
            (is_control(header.kind) || (starts_message && header.fin))) {
            // The usual case: a whole frame that is a whole message is read where it lies.
            const auto payload = input.first(static_cast<std::size_t>(header.length));
            input = input.subspan(payload.size());
            apply_mask(payload, header.key);
            return is_control(header.kind) ? control_event(header.kind, payload)
                                           : whole_message(header, payload, shared);
        }
        begin_frame(header);
    }
}

// Takes a frame header off the front of `input`, joined to what is left of an earlier input.
receiver::parsed receiver::take_header(std::span<std::byte>& input, frame_header& header,
                                       event& why) {
    if (header_size_ == 0) [[likely]] {
        const auto found = parse_header(input, header, why);
        if (found == parsed::whole)
            input = input.subspan(header.size_bytes);
        if (found == parsed::cut) {
            std::copy_n(reinterpret_cast<const std::uint8_t*>(input.data()), input.size(), header_);
            header_size_ = static_cast<std::uint8_t>(input.size());
            input = {};
        }
        return found;
    }
    for (;;) {
        const auto found =
            parse_header(std::as_bytes(std::span(header_, header_size_)), header, why);
        if (found == parsed::whole)
            header_size_ = 0;
        if (found != parsed::cut || input.empty())
            return found;
        header_[header_size_++] = std::to_integer<std::uint8_t>(input.front());
        input = input.subspan(1);
    }
}

// Each byte is judged as soon as it is there, so that a refusal does not depend on how the stream
// is cut.
receiver::parsed receiver::parse_header(bytes_view seen, frame_header& header,
                                        event& why) const noexcept {
    const auto* b = reinterpret_cast<const std::uint8_t*>(seen.data());
    if (seen.empty())
        return parsed::cut;
    if (!sound_opening(b[0], why))
        return parsed::refused;
    header.fin = b[0] & 0x80;
    header.rsv1 = b[0] & 0x40;
    header.kind = static_cast<opcode>(b[0] & 0x0f);
    if (seen.size() < 2)
        return parsed::cut;
    if (masked_ != ((b[1] & 0x80) != 0)) {
        why = refuse(1002, masked_ ? "an unmasked frame" : "a masked frame from a server");
        return parsed::refused;
    }
    const unsigned short_length = b[1] & 0x7f;
    if (is_control(header.kind) && short_length > control_bytes_max) {
        why = refuse(1002, "a control frame of more than 125 bytes");
        return parsed::refused;
    }
    const std::size_t extra = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
    if (seen.size() < 2 + extra)
        return parsed::cut;
    header.length = extra ? 0 : short_length;
    for (std::size_t i = 0; i < extra; ++i)
        header.length = header.length << 8 | b[2 + i];
    header.size_bytes = static_cast<std::uint8_t>(2 + extra + (masked_ ? 4 : 0));
    if (!sound_length(header, why))
        return parsed::refused;
    if (seen.size() < header.size_bytes)
        return parsed::cut;
    if (masked_)
        std::memcpy(header.key.data(), b + 2 + extra, 4);
    return parsed::whole;
}

bool receiver::sound_opening(std::uint8_t first, event& why) const noexcept {
    const auto kind = static_cast<opcode>(first & 0x0f);
    const bool in_message = partial_ && partial_->in_message;
    const char* problem = nullptr;
    if (first & 0x30)
        problem = "a reserved bit is set";
    else if ((first & 0x0f) > 10 || ((first & 0x0f) > 2 && (first & 0x0f) < 8))
        problem = "a reserved opcode";
    else if ((first & 0x40) && (!compressed_ || is_control(kind) || kind == opcode::continuation))
        problem = "RSV1 where nothing can be compressed";
    else if (is_control(kind) && !(first & 0x80))
        problem = "a fragmented control frame";
    else if (kind == opcode::continuation && !in_message)
        problem = "a continuation of nothing";
    else if (!is_control(kind) && kind != opcode::continuation && in_message)
        problem = "a new message inside a fragmented one";
    if (problem)
        why = refuse(1002, problem);
    return !problem;
}

bool receiver::sound_length(const frame_header& header, event& why) const noexcept {
    if (header.length >> 63) {
        why = refuse(1002, "a length of more than 63 bits");
        return false;
    }
    const int size_without_key = header.size_bytes - (masked_ ? 4 : 0);
    if ((size_without_key == 4 && header.length < 126) ||
        (size_without_key == 10 && header.length <= 0xffff)) {
        why = refuse(1002, "a length that is not written in its shortest form");
        return false;
    }
    if (is_control(header.kind))
        return true;
    const bool continues = header.kind == opcode::continuation;
    const std::uint64_t before = continues ? partial_->message.size() : 0;
    const bool compressed = continues ? partial_->message_compressed : header.rsv1;
    // Deflate makes what cannot be compressed a little larger; the limit is on the message itself.
    const std::uint64_t overhead = compressed ? message_bytes_max_ / 1024 + 64 : 0;
    const std::uint64_t limit = std::min<std::uint64_t>(message_bytes_max_ + overhead, UINT32_MAX);
    if (header.length > limit - before) {
        why = refuse(1009, "the message is too large");
        return false;
    }
    return true;
}

receiver::event receiver::whole_message(const frame_header& header, std::span<std::byte> payload,
                                        inflater& shared) {
    if (header.rsv1)
        return inflated_message(header.kind, payload, shared);
    if (header.kind == opcode::text && !is_utf8(payload))
        return refuse(1007, "a text that is not UTF-8");
    return message_event(header.kind, payload);
}

receiver::event receiver::finished_message(inflater& shared) {
    partial_->in_message = false;
    if (partial_->message_compressed) {
        const auto compressed = std::exchange(partial_->message, {});
        return inflated_message(partial_->message_kind, compressed, shared);
    }
    if (partial_->message_kind == opcode::text && !partial_->checker.complete())
        return refuse(1007, "a text that ends inside a character");
    delivered_ = true;
    return message_event(partial_->message_kind, partial_->message);
}

receiver::event receiver::inflated_message(opcode kind, bytes_view payload, inflater& shared) {
    auto& message = incomplete().message;
    switch (shared.inflate(payload, message_bytes_max_, message)) {
    case inflater::outcome::ok: break;
    case inflater::outcome::too_large: return refuse(1009, "the message is too large");
    case inflater::outcome::corrupt: return refuse(1007, "a compressed message that is damaged");
    }
    if (kind == opcode::text && !is_utf8(message))
        return refuse(1007, "a text that is not UTF-8");
    delivered_ = true;
    return message_event(kind, message);
}

void receiver::begin_frame(const frame_header& header) {
    auto& p = incomplete();
    p.in_frame = true;
    p.frame_kind = header.kind;
    p.frame_fin = header.fin;
    p.key = header.key;
    p.frame_size = static_cast<std::uint32_t>(header.length);
    p.frame_taken = 0;
    if (header.kind == opcode::text || header.kind == opcode::binary) {
        p.in_message = true;
        p.message_kind = header.kind;
        p.message_compressed = header.rsv1;
    }
}

// Takes payload of the frame that was begun; need_more with in_frame still set means that the input
// ended first.
receiver::event receiver::continue_frame(std::span<std::byte>& input, inflater& shared) {
    auto& p = *partial_;
    const auto rest = std::size_t{p.frame_size} - p.frame_taken;
    const auto piece = input.first(std::min(input.size(), rest));
    input = input.subspan(piece.size());
    apply_mask(piece, p.key, p.frame_taken);

    if (is_control(p.frame_kind)) {
        std::copy(piece.begin(), piece.end(), p.control.begin() + p.frame_taken);
    } else {
        if (p.message_kind == opcode::text && !p.message_compressed && !p.checker.feed(piece))
            return refuse(1007, "a text that is not UTF-8");
        append(p.message, piece, rest, p.frame_fin);
    }
    p.frame_taken += static_cast<std::uint32_t>(piece.size());
    if (p.frame_taken < p.frame_size)
        return {what::need_more};

    p.in_frame = false;
    if (is_control(p.frame_kind)) {
        delivered_ = true;
        return control_event(p.frame_kind, bytes_view(p.control).first(p.frame_size));
    }
    return p.frame_fin ? finished_message(shared) : event{what::need_more};
}

receiver::partial& receiver::incomplete() {
    if (!partial_)
        partial_ = std::make_unique<partial>();
    return *partial_;
}

// A control frame may have been delivered in the midst of a message, which must stay.
void receiver::drop_delivered() noexcept {
    delivered_ = false;
    if (partial_ && !partial_->in_message)
        partial_.reset();
}

} // namespace carillon::wire::ws
