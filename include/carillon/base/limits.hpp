// Every limit of a server, in one place: name with its unit, default, and what happens when it is hit. docs/limits.md
// is the same list in prose, with the metric of each. A limit of 0 means none only where it says so.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace carillon {

struct limits {
    // Connections. Above: a new connection is closed at once.
    std::uint32_t connections_max = 1'000'000;
    // From accept, or from the end of a keep-alive answer's first byte, until a request's head is whole. Then 408 and
    // close.
    std::chrono::seconds handshake_timeout{10};
    // How long a keep-alive connection may be silent between two requests. Then close.
    std::chrono::seconds keep_alive_timeout{75};
    // While a request's body arrives: the longest silence. Then 408 and close.
    std::chrono::seconds body_timeout{30};
    // The longest time in which a peer takes nothing of what waits for it. Then the connection is cut.
    std::chrono::seconds send_timeout{60};
    // How long connections may take to end when the server stops. Then they are cut.
    std::chrono::seconds drain_timeout{10};

    // HTTP. Above: 431, 431, 413.
    std::uint32_t head_bytes_max = 32 * 1024;
    std::uint32_t headers_max = 100;
    std::uint64_t body_bytes_max = 2 * 1024 * 1024; // of routes that name no limit of their own
    // Bytes of a streamed body that wait for its handler; above, the connection is not read.
    std::size_t body_buffer_bytes_max = 256 * 1024;

    // WebSocket. Above: close 1009.
    std::uint32_t message_bytes_max = 1024 * 1024; // of routes that name no limit of their own
    // Silence before a ping is sent, and how long any sign of life may take after it. Then the connection is cut.
    std::chrono::seconds ping_interval{20};
    std::chrono::seconds ping_timeout{30};
    // From a sound handshake until the consumer accepts or closes. Then 503.
    std::chrono::seconds accept_timeout{10};
    // From our close frame until the peer's. Then the connection is cut.
    std::chrono::seconds close_timeout{5};
    // Client messages and events that wait for a consumer that is busy. At the bytes, the connection is not read; above
    // the events, the newest event is dropped and counted.
    std::size_t mailbox_bytes_max = 256 * 1024;
    std::uint32_t mailbox_events_max = 100;
    // Bytes that wait for a client that does not read. Above hard: close 4408. Above soft: its messages are not
    // read; above soft for soft_duration: close 4408.
    std::size_t outbox_bytes_max = 8 * 1024 * 1024;
    std::size_t outbox_bytes_soft = 1024 * 1024;
    std::chrono::seconds outbox_soft_duration{20};
    // Groups one consumer may be in.
    std::uint32_t groups_max = 1000;
    // Messages below this size are sent uncompressed.
    std::size_t compress_bytes_min = 512;

    // Blocking calls (handlers, consumers, database) that wait for a thread. Above: 503 and errc::unavailable.
    std::uint32_t blocking_queue_max = 4096;
};

} // namespace carillon
