// msgpack: values as msgpack bytes and back, in the dialect that Channels' Redis layers speak.
//
// What Python writes: the shortest integer form, 64-bit floats, the str family for text, the bin family for bytes,
// maps in the order of insertion (https://github.com/msgpack/msgpack/blob/master/spec.md).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

namespace carillon::wire {

// Arrays and maps inside each other, in both directions. Above: errc::too_large.
inline constexpr std::size_t msgpack_depth_max = 64;

// Appends. errc::invalid for text or a member name that is no valid UTF-8: Python's reader would end with an exception.
// Nothing is appended then. A smaller `depth_max` is for callers whose content stands inside containers of their own.
result<void> append_msgpack(std::string& out, const value& content,
                            std::size_t depth_max = msgpack_depth_max);

// Heads alone, for callers that put a message together from parts. At most UINT32_MAX members or items.
void append_msgpack_map_head(std::string& out, std::size_t members);
void append_msgpack_array_head(std::string& out, std::size_t items);
result<void> append_msgpack_text(std::string& out, std::string_view text);

// Exactly one object and nothing after it. Accepts all widths, non-minimal forms and 32-bit floats; map keys must be
// text (bin keys are read as text when they are valid UTF-8). errc::corrupt for truncated or trailing bytes, text that
// is no UTF-8, other keys, the unused byte c1 and extension types; errc::too_large above the depth. Of equal
// keys the last value wins. Memory is taken for values whose bytes are there, never for a size that was announced: at
// most some 80 bytes per byte of input (a map of empty texts to nils).
result<value> parse_msgpack(std::string_view data);

} // namespace carillon::wire
