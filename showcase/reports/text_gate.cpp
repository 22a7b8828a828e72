#include "reports/text_gate.hpp"

#include <cstring>

namespace showcase::reports {

namespace {

constexpr std::uint64_t ones = 0x0101010101010101;
constexpr std::uint64_t highs = 0x8080808080808080;

// Length of the leading run of bytes 1..127, rounded down to whole words.
std::size_t plain_run(const char* p, std::size_t size) noexcept {
    std::size_t done = 0;
    for (; done + 8 <= size; done += 8) {
        std::uint64_t word;
        std::memcpy(&word, p + done, 8);
        // The second term has a high bit where a byte is zero (and, after one, perhaps where it is
        // not: the caller then looks byte by byte, so a false alarm costs only time).
        if (((word | (word - ones)) & highs) != 0)
            break;
    }
    return done;
}

} // namespace

bool text_gate::take(unsigned char byte) noexcept {
    if (missing_ != 0) {
        if (byte < low_ || byte > high_)
            return false;
        low_ = 0x80;
        high_ = 0xBF;
        --missing_;
        return true;
    }
    if (byte < 0x80)
        return true;
    if (byte < 0xC2 || byte > 0xF4)
        return false;
    missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0)
        low_ = 0xA0;
    else if (byte == 0xED)
        high_ = 0x9F;
    else if (byte == 0xF0)
        low_ = 0x90;
    else if (byte == 0xF4)
        high_ = 0x8F;
    return true;
}

text_gate::verdict text_gate::feed(std::string_view piece) noexcept {
    std::size_t at = 0;
    while (at < piece.size()) {
        if (missing_ == 0) {
            at += plain_run(piece.data() + at, piece.size() - at);
            if (at == piece.size())
                break;
        }
        const auto byte = static_cast<unsigned char>(piece[at]);
        if (byte == 0)
            return {text_fault::nul_byte, at};
        if (!take(byte))
            return {text_fault::not_utf8, at};
        ++at;
    }
    return {text_fault::none, piece.size()};
}

} // namespace showcase::reports
