#include "wire/ws/deflate.hpp"

#include <array>
#include <new>
#include <utility>

#include <zlib.h>

#include "wire/http/token.hpp"
#include <carillon/base/assert.hpp>

namespace carillon::wire::ws {

namespace {

constexpr std::array<std::byte, 4> flush_tail = {std::byte{0}, std::byte{0}, std::byte{0xff},
                                                 std::byte{0xff}};

// 8 to 15 as a decimal number without leading zeros (section 7.1.2), or 0.
int window_bits_of(std::string_view text) {
    const auto digits = http::parameter_value(text);
    if (!digits)
        return 0;
    if (*digits == "8" || *digits == "9")
        return (*digits)[0] - '0';
    if (digits->size() == 2 && (*digits)[0] == '1' && (*digits)[1] >= '0' && (*digits)[1] <= '5')
        return 10 + (*digits)[1] - '0';
    return 0;
}

// What one offer asks for; each parameter may stand once.
struct offer {
    bool server_no_context_takeover = false;
    bool client_no_context_takeover = false;
    bool client_max_window_bits = false;
    int server_max_window_bits = 0; // 0: not asked for

    bool take(std::string_view parameter) {
        const auto equals = parameter.find('=');
        const bool has_value = equals != std::string_view::npos;
        const auto name = http::trim(parameter.substr(0, equals));
        const auto text = has_value ? http::trim(parameter.substr(equals + 1)) : std::string_view();
        if (name == "server_no_context_takeover")
            return !has_value && !std::exchange(server_no_context_takeover, true);
        if (name == "client_no_context_takeover")
            return !has_value && !std::exchange(client_no_context_takeover, true);
        if (name == "client_max_window_bits")
            return (!has_value || window_bits_of(text)) &&
                   !std::exchange(client_max_window_bits, true);
        if (name == "server_max_window_bits")
            return has_value && !std::exchange(server_max_window_bits, window_bits_of(text)) &&
                   server_max_window_bits >= 9;
        return false;
    }
};

std::optional<offer> read_offer(std::string_view text) {
    http::list_reader parts(text, ';');
    if (!http::iequals(*parts.next(), "permessage-deflate"))
        return std::nullopt;
    offer found;
    while (const auto parameter = parts.next())
        if (!found.take(*parameter))
            return std::nullopt;
    return found;
}

Bytef* zlib_input(bytes_view data) {
    // zlib's input pointer is not const, but it does not write through it.
    return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data.data()));
}

} // namespace

std::optional<deflate_agreement> negotiate_deflate(std::string_view offers) {
    http::list_reader list(offers);
    while (const auto text = list.next()) {
        const auto met = read_offer(*text);
        if (!met)
            continue;
        deflate_agreement agreed;
        agreed.response =
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        if (met->server_max_window_bits) {
            agreed.server_window_bits = met->server_max_window_bits;
            agreed.response +=
                "; server_max_window_bits=" + std::to_string(agreed.server_window_bits);
        }
        return agreed;
    }
    return std::nullopt;
}

struct deflater::impl {
    static constexpr int window_bits_min = 9;
    // Of 10 KB of JSON, levels 3, 5 and 6 make 1615, 1450 and 1426 bytes in 13, 26 and 31 µs; 1 KB takes 4 to 5 µs with
    // each. A message is compressed once and sent to many, so 5.
    static constexpr int level = 5;
    static constexpr int memory_level = 8;
    static constexpr std::size_t kept_bytes_max = 256 * 1024;

    std::array<z_stream, 7> streams{}; // one for each window size; without state until it is used
    bytes out;

    ~impl() {
        for (auto& stream : streams)
            if (stream.state)
                deflateEnd(&stream);
    }

    z_stream& stream_for(int window_bits) {
        auto& stream = streams.at(static_cast<std::size_t>(window_bits - window_bits_min));
        const int done = stream.state ? deflateReset(&stream)
                                      : deflateInit2(&stream, level, Z_DEFLATED, -window_bits,
                                                     memory_level, Z_DEFAULT_STRATEGY);
        if (done != Z_OK)
            throw std::bad_alloc();
        return stream;
    }
};

deflater::deflater() : impl_(std::make_unique<impl>()) {}
deflater::~deflater() = default;

bytes_view deflater::compress(bytes_view message, int window_bits) {
    CARILLON_ASSERT(window_bits >= 9 && window_bits <= 15, "a window of 9 to 15 bits");
    CARILLON_ASSERT(message.size() <= UINT32_MAX, "a message is below 4 GiB");
    auto& stream = impl_->stream_for(window_bits);
    auto& out = impl_->out;
    if (out.capacity() > impl::kept_bytes_max)
        bytes().swap(out);
    // The bound is for Z_FINISH; a flush adds an empty block of at most 5 bytes and some bits.
    out.resize(deflateBound(&stream, static_cast<uLong>(message.size())) + 16);
    stream.next_in = zlib_input(message);
    stream.avail_in = static_cast<uInt>(message.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const int done = deflate(&stream, Z_SYNC_FLUSH);
    CARILLON_ASSERT(done == Z_OK && stream.avail_in == 0 && stream.avail_out > 0,
                    "the output fits its bound");
    return bytes_view(out).first(out.size() - stream.avail_out - flush_tail.size());
}

struct inflater::impl {
    z_stream stream{};
    std::array<std::byte, 16 * 1024> scratch;

    impl() {
        if (inflateInit2(&stream, -15) != Z_OK)
            throw std::bad_alloc();
    }
    ~impl() { inflateEnd(&stream); }

    // True when the last block of a deflate stream (BFINAL) ended with the input's last byte.
    bool ended_with_input = false;

    outcome feed(bytes_view input, std::size_t bytes_max, bytes& out) {
        stream.next_in = zlib_input(input);
        stream.avail_in = static_cast<uInt>(input.size());
        ended_with_input = false;
        do {
            stream.next_out = reinterpret_cast<Bytef*>(scratch.data());
            stream.avail_out = static_cast<uInt>(scratch.size());
            const int done = ::inflate(&stream, Z_SYNC_FLUSH);
            const auto made = scratch.size() - stream.avail_out;
            if (made > bytes_max - out.size())
                return outcome::too_large;
            out.insert(out.end(), scratch.begin(),
                       scratch.begin() + static_cast<std::ptrdiff_t>(made));
            if (done == Z_STREAM_END) {
                // More blocks may follow a final one (section 7.2.3.4).
                inflateReset(&stream);
                ended_with_input = stream.avail_in == 0;
                if (ended_with_input)
                    break;
            } else if (done == Z_BUF_ERROR) {
                break;
            } else if (done != Z_OK) {
                return outcome::corrupt;
            }
        } while (stream.avail_in > 0 || stream.avail_out == 0);
        return outcome::ok;
    }
};

inflater::inflater() : impl_(std::make_unique<impl>()) {}
inflater::~inflater() = default;

inflater::outcome inflater::inflate(bytes_view message, std::size_t bytes_max, bytes& out) {
    if (out.size() > bytes_max)
        return outcome::too_large;
    if (message.empty())
        return outcome::ok; // section 7.2.1 writes 00 for the empty message; some clients write
                            // nothing
    inflateReset(&impl_->stream);
    const auto found = impl_->feed(message, bytes_max, out);
    if (found != outcome::ok || impl_->ended_with_input)
        return found;
    const auto closed = impl_->feed(flush_tail, bytes_max, out);
    // zlib's data_type tells whether the input ended between two blocks; a cut message ends inside
    // one.
    constexpr int between_blocks = 128;
    if (closed == outcome::ok && !(impl_->stream.data_type & between_blocks))
        return outcome::corrupt;
    return closed;
}

} // namespace carillon::wire::ws
