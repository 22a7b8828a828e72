// Reading msgpack.
#include <cstring>
#include <utility>

#include "wire/distinct_members.hpp"
#include "wire/msgpack.hpp"
#include "wire/msgpack_heads.hpp"
#include "wire/utf8.hpp"

namespace carillon::wire {

namespace {

using namespace msgpack;

// Reads values. After a false, `problem` says why.
class reader {
public:
    explicit reader(std::string_view data) : rest_(data) {}
    failure problem{errc::corrupt, {}};

    bool done() const noexcept { return rest_.empty(); }

    bool any(value& out, std::size_t levels) {
        std::uint8_t first = 0;
        if (!take_value(first))
            return false;
        if (first <= positive_fixint_last || first >= negative_fixint) {
            out = value(static_cast<std::int8_t>(first));
            return true;
        }
        if (first < fixarray)
            return map(out, first & 15u, levels);
        if (first < fixstr)
            return list(out, first & 15u, levels);
        if (first < nil)
            return text(out, first & 31u);
        return long_form(out, first, levels);
    }

private:
    bool long_form(value& out, std::uint8_t first, std::size_t levels) {
        std::uint32_t size = 0;
        switch (first) {
        case nil: out = value(); return true;
        case false_head: out = value(false); return true;
        case true_head: out = value(true); return true;
        case float32: return real<std::uint32_t, float>(out);
        case float64: return real<std::uint64_t, double>(out);
        case uint8: return integer<std::uint8_t>(out);
        case uint16: return integer<std::uint16_t>(out);
        case uint32: return integer<std::uint32_t>(out);
        case uint64: return integer<std::uint64_t>(out);
        case int8: return integer<std::int8_t>(out);
        case int16: return integer<std::int16_t>(out);
        case int32: return integer<std::int32_t>(out);
        case int64: return integer<std::int64_t>(out);
        case bin8:
        case bin16:
        case bin32: return take_size(size, first - bin8) && blob(out, size);
        case str8:
        case str16:
        case str32: return take_size(size, first - str8) && text(out, size);
        case array16:
        case array32: return take_size(size, first - array16 + 1) && list(out, size, levels);
        case map16:
        case map32: return take_size(size, first - map16 + 1) && map(out, size, levels);
        case unused: return refuse("The msgpack has the unused byte c1.");
        default: return refuse("The msgpack has an extension type.");
        }
    }

    // The first byte of the next value, one of those that are owed.
    bool take_value(std::uint8_t& first) {
        --owed_;
        return take(first);
    }

    template <class Number>
    bool take(Number& n) {
        if (rest_.size() < sizeof(Number))
            return truncated();
        std::memcpy(&n, rest_.data(), sizeof(Number));
        n = swapped(n);
        rest_.remove_prefix(sizeof(Number));
        return true;
    }

    // A size of 1, 2 or 4 bytes, for 0, 1 or 2.
    bool take_size(std::uint32_t& size, int width) {
        std::uint8_t one = 0;
        std::uint16_t two = 0;
        if (width == 2)
            return take(size);
        if (!(width == 1 ? take(two) : take(one)))
            return false;
        size = width == 1 ? two : one;
        return true;
    }

    template <class Number>
    bool integer(value& out) {
        Number n = 0;
        if (!take(n))
            return false;
        out = value(n);
        return true;
    }

    template <class Bits, class Real>
    bool real(value& out) {
        Bits bits = 0;
        if (!take(bits))
            return false;
        out = value(static_cast<double>(std::bit_cast<Real>(bits)));
        return true;
    }

    bool take_part(std::string_view& part, std::size_t size) {
        if (rest_.size() < size)
            return truncated();
        part = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
    }

    bool take_text(std::string_view& part, std::size_t size) {
        if (!take_part(part, size))
            return false;
        return is_utf8(as_bytes(part)) || refuse("The msgpack has a text that is not valid UTF-8.");
    }

    bool text(value& out, std::size_t size) {
        std::string_view part;
        if (!take_text(part, size))
            return false;
        out = value(part);
        return true;
    }

    bool blob(value& out, std::size_t size) {
        std::string_view part;
        if (!take_part(part, size))
            return false;
        const auto data = as_bytes(part);
        out = value(bytes(data.begin(), data.end()));
        return true;
    }

    // Each value that was announced takes a byte at least. While no more are owed than bytes are left, space may be
    // reserved for all of them: a head of five bytes costs no gigabyte, not even many heads inside each other.
    bool open(std::uint64_t values, std::size_t levels) {
        if (levels == 0) {
            problem = {errc::too_large, "The msgpack is nested too deep."};
            return false;
        }
        owed_ += values;
        return owed_ <= rest_.size() || truncated();
    }

    bool list(value& out, std::size_t size, std::size_t levels) {
        if (!open(size, levels))
            return false;
        array items(size);
        for (auto& item : items)
            if (!any(item, levels - 1))
                return false;
        out = value(std::move(items));
        return true;
    }

    bool map(value& out, std::size_t size, std::size_t levels) {
        if (!open(std::uint64_t{2} * size, levels))
            return false;
        std::vector<object::member> members(size);
        for (auto& [name, content] : members)
            if (!key(name) || !any(content, levels - 1))
                return false;
        out = value(without_duplicates(std::move(members)));
        return true;
    }

    bool key(std::string& name) {
        std::uint8_t first = 0;
        std::uint32_t size = 0;
        std::string_view part;
        if (!take_value(first))
            return false;
        if (first >= fixstr && first < nil)
            size = first & 31u;
        else if (first >= str8 && first <= str32) {
            if (!take_size(size, first - str8))
                return false;
        } else if (first >= bin8 && first <= bin32) {
            if (!take_size(size, first - bin8))
                return false;
        } else
            return refuse("The msgpack has a map with a key that is no text.");
        if (!take_text(part, size))
            return false;
        name = part;
        return true;
    }

    bool truncated() { return refuse("The msgpack ends too early."); }
    bool refuse(const char* why) {
        problem.message = why;
        return false;
    }

    std::string_view rest_;
    std::uint64_t owed_ = 1;
};

} // namespace

result<value> parse_msgpack(std::string_view data) {
    reader r(data);
    value content;
    if (!r.any(content, msgpack_depth_max))
        return std::move(r.problem);
    if (!r.done())
        return failure{errc::corrupt, "Bytes follow the msgpack."};
    return content;
}

} // namespace carillon::wire
