// The frames of the event relay as a pure function of bytes: events out, any bytes in.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <carillon/base/result.hpp>
#include <carillon/channels/event.hpp>

namespace carillon {

inline constexpr std::size_t relay_frame_bytes_max = 16 << 20;

struct relayed_event {
    bool to_group = false;
    std::string name;
    event what;
};

// One frame, length included. errc::invalid for an event that holds bytes, errc::too_large.
result<std::string> encode_relayed(bool to_group, std::string_view name, const event& what);
// The JSON of one frame, without its length. errc::bad_request.
result<relayed_event> decode_relayed(std::string_view json);

// Cuts a stream into frames.
class relay_splitter {
public:
    void append(std::string_view more);
    // The next whole frame's JSON, valid until the next call; null data where more bytes are needed. errc::too_large
    // when a frame announces more than relay_frame_bytes_max: the stream is of no further use.
    result<std::string_view> next();

private:
    std::string buffer_;
    std::size_t used_ = 0; // bytes of frames already given
};

} // namespace carillon
