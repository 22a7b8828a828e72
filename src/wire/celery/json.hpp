// JSON as Celery's peers write it: bare NaN and Infinity, and kombu's wrapper `{"__type__": …, "__value__": …}` for
// what JSON does not have. docs/protocols/celery-message.md holds the table of both directions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

namespace carillon::wire::celery {

// Reads JSON as parse_json() does, and besides:
//   bare NaN, Infinity and -Infinity become doubles;
//   the wrappers "bytes" and "base64" become bytes, a wrapped decimal that is NaN or infinite a double;
//   every other wrapper stays the object that it is, so that passing it on loses nothing.
// A wrapper whose content does not fit its name stays an object, too. Failures are those of parse_json().
result<value> read_json(std::string_view text);

// Writes JSON that every reader takes, and that read_json() reads to the same: bytes in the wrapper "bytes" where they
// are UTF-8, else "base64"; NaN and infinities as wrapped decimals, never as bare words.
std::string write_json(const value& v);

// What kombu wraps. `unknown` makes kombu's reader fail.
enum class wrapped_type : std::uint8_t {
    none, // no wrapper at all
    datetime,
    date,
    time,
    decimal,
    uuid,
    unknown,
};
// Bytes are no wrappers in a value: read_json() has unwrapped them.
wrapped_type type_of(const value& v) noexcept;

// The wrapper of a point in time, in UTC, as Python's isoformat() writes it.
value wrap_datetime(utc_time when);
// Nothing where the value is no wrapped datetime. A time without offset is read as UTC.
std::optional<utc_time> unwrap_datetime(const value& v) noexcept;
// `name` is "date", "time" or "decimal"; `text` is ISO 8601 or decimal digits and is not checked.
value wrap_text(std::string_view name, std::string_view text);
// `hex` holds the 32 hexadecimal digits, or the 36 characters with hyphens.
value wrap_uuid(std::string_view hex);
// The text of a wrapped datetime, date, time or decimal, the 32 digits of a UUID; empty where it is none of them.
std::string_view wrapped_text(const value& v) noexcept;

// Python's isoformat() of a time in UTC: `2026-11-20T05:43:05.069215+00:00`, without the fraction where it is zero.
std::string to_isoformat(utc_time when);

} // namespace carillon::wire::celery
