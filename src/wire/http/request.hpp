// HTTP/1.1 requests (RFC 9112): the head as data, and a parser that is fed bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/bytes.hpp>

namespace carillon::wire::http {

struct header {
    std::string name; // as sent
    std::string value;
};

struct request_head {
    std::string method;
    std::string
        target; // as sent, in origin form ("/a?b") or "*"; absolute form is reduced to origin form
    int version_minor = 1; // 0 or 1
    std::vector<header> headers;
    bool keep_alive = true;
    bool chunked = false;
    bool expects_continue = false;               // Expect: 100-continue
    std::optional<std::uint64_t> content_length; // absent when chunked or without body

    // The value of the first header of that name (in any case), or an empty text.
    std::string_view find(std::string_view name) const noexcept;
    bool has(std::string_view name) const noexcept;
    // All values of that name joined by ", " (RFC 9110 5.3).
    std::string joined(std::string_view name) const;
};

// Reads the requests of one connection, one after the other, through Beast's parser. Refuses what opens the door to
// request smuggling: both Content-Length and Transfer-Encoding, differing Content-Lengths, a coding other than chunked,
// bare CR or LF in a header, whitespace before a colon, obsolete folding, several Host headers, no Host in HTTP/1.1.
class request_parser {
public:
    struct limits {
        std::uint32_t head_bytes_max = 32 * 1024; // request line and headers: 431 above
        std::uint32_t headers_max = 100;          // 431 above
        std::uint64_t body_bytes_max =
            0; // of the body; 0: no limit. 413 above. May be changed after the head
    };
    enum class what : std::uint8_t {
        need_more, // all input was taken
        head,      // head() is complete; ask on for the body
        body,      // `body` is the next piece of the body
        end,       // the request is whole; call restart() before the next one
        refused,   // answer with `status` and close; whatever follows is discarded
    };
    struct event {
        what kind;
        bytes_view body; // valid as long as the input's memory
        int status = 0;  // 400, 413, 417, 431, 501, 505
        const char* why = "";
    };

    explicit request_parser(limits l);
    ~request_parser();

    // Takes bytes from the front of `input`, up to and including the end of the next event. A head that is cut is kept
    // inside, bounded by head_bytes_max.
    event next(bytes_view& input);
    const request_head& head() const noexcept;
    request_head take_head() noexcept;
    void limit_body(std::uint64_t bytes_max) noexcept;
    // True when not one byte of a request has been taken since the start or restart(): the connection is idle.
    bool idle() const noexcept;
    void restart();

private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace carillon::wire::http
