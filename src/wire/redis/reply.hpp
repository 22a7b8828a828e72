// Redis' protocol RESP2 as pure functions of bytes: commands out, replies in (parsed by hiredis' reader).
// https://redis.io/docs/latest/develop/reference/protocol-spec/
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/result.hpp>

namespace carillon::wire::redis {

// A plain value.
struct reply {
    enum class what : std::uint8_t { nil, status, error, integer, text, list };
    what kind = what::nil;
    std::int64_t number = 0;
    std::string text; // of status, error and text; bytes, not necessarily UTF-8
    std::vector<reply> items;

    bool is_nil() const noexcept { return kind == what::nil; }
    bool is_error() const noexcept { return kind == what::error; }
    // The first word of an error: "READONLY", "NOAUTH", "WRONGTYPE".
    std::string_view error_code() const noexcept;
};

// A command as the array of bulk strings that a server reads. Built once, appended to a connection's output.
class command {
public:
    explicit command(std::string_view name) { add(name); }
    command(std::initializer_list<std::string_view> words);
    command& add(std::string_view word);
    command& add(std::int64_t number);
    // The name, upper or lower case as given: for logs and metrics. Never an argument, which may be a secret.
    std::string_view name() const noexcept { return name_; }
    // The whole command.
    std::string bytes() const;

private:
    std::string name_;
    std::size_t words_ = 0;
    std::string body_;
};

// Cuts a stream into replies. Memory is taken for bytes that arrived, never for a length that was announced. Lists are
// read up to 8 deep, lines (status, error, lengths) up to 64 KiB. Not thread-safe.
class reply_reader {
public:
    // What Redis allows for one text; here it bounds the memory of one whole reply, about 72 bytes per item besides
    // the text.
    static constexpr std::size_t reply_bytes_default = std::size_t{512} * 1024 * 1024;

    explicit reply_reader(std::size_t reply_bytes_max = reply_bytes_default);
    ~reply_reader();
    reply_reader(reply_reader&&) noexcept;
    reply_reader& operator=(reply_reader&&) noexcept;

    void append(std::string_view received);
    // The next whole reply, nothing when more bytes are needed, or errc::corrupt: the stream cannot be used any more.
    // The replies before the fault come first.
    result<std::optional<reply>> next();

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace carillon::wire::redis
