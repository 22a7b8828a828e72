// AMQP 0-9-1 as bytes: frames cut and written here, methods by rabbitmq-c's codec, message properties by
// amqp_fields.hpp. Pure functions of bytes; no socket. docs/decisions/0005-amqp-input-and-output.md says why only the
// codec of rabbitmq-c is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <amqp.h>
#include <amqp_framing.h>

#include <carillon/base/result.hpp>

namespace carillon::jobs::amqp {

// What every peer accepts before it is negotiated, and what is asked for.
inline constexpr std::uint32_t frame_bytes_wanted = 131'072;
// A frame that is received may be larger than negotiated (RabbitMQ does not split headers), but not for ever.
inline constexpr std::size_t frame_bytes_max = std::size_t{4} << 20;
// RabbitMQ's methods have some hundred bytes. rabbitmq-c reads nested tables by recursion: more could use up the stack.
inline constexpr std::size_t method_bytes_max = 16 * 1024;

inline amqp_bytes_t bytes_of(std::string_view text) noexcept {
    return {text.size(), const_cast<char*>(text.data())};
}
inline std::string_view text_of(amqp_bytes_t bytes) noexcept {
    return {static_cast<const char*>(bytes.bytes), bytes.len};
}

struct frame {
    std::uint8_t type = 0; // AMQP_FRAME_METHOD and its kin
    std::uint16_t channel = 0;
    std::string_view payload;
};

// Cuts what was received into frames.
class frame_reader {
public:
    void append(std::string_view received);
    // The next whole frame, valid until append(); nothing when more bytes are needed. errc::corrupt where this is no
    // AMQP, with the reason.
    result<std::optional<frame>> next();

private:
    std::string held_;
    std::size_t taken_ = 0; // of held_
};

// A pool for what rabbitmq-c's codec hands out; what it gave is void after recycle().
class arena {
public:
    arena() { init_amqp_pool(&pool_, 4096); }
    arena(const arena&) = delete;
    ~arena() { empty_amqp_pool(&pool_); }
    amqp_pool_t* get() noexcept { return &pool_; }
    void recycle() noexcept { recycle_amqp_pool(&pool_); }

private:
    amqp_pool_t pool_;
};

// A method of a frame: `fields` points to rabbitmq-c's struct of that number and lives as long as the arena's content.
struct method {
    amqp_method_number_t number = 0;
    void* fields = nullptr;

    template <class T>
    const T& as() const noexcept {
        return *static_cast<const T*>(fields);
    }
};
// errc::corrupt where the payload is not what it says or is larger than method_bytes_max, and for methods that no
// server sends to a client.
result<method> read_method(std::string_view payload, arena& storage);

// Appends a method's frame. `fields` is rabbitmq-c's struct of that number. False, with nothing appended, when it does
// not fit into a frame.
bool append_method(std::string& out, std::uint16_t channel, amqp_method_number_t number,
                   const void* fields);
// Appends the frames of a content: its header, whose `properties` are flags and fields as the protocol has them, and
// its body in frames of at most frame_max bytes.
void append_content(std::string& out, std::uint16_t channel, std::string_view properties,
                    std::string_view body, std::size_t frame_max);
void append_heartbeat(std::string& out);

struct content_header {
    std::uint64_t body_bytes = 0;
    std::string_view properties;
};
std::optional<content_header> read_content_header(std::string_view payload) noexcept;

} // namespace carillon::jobs::amqp
