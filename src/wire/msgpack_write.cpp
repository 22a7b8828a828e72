// Writing msgpack.
#include <cstring>
#include <utility>

#include "wire/msgpack.hpp"
#include "wire/msgpack_heads.hpp"
#include "wire/utf8.hpp"

namespace carillon::wire {

namespace {

using namespace msgpack;

constexpr std::size_t size_max = UINT32_MAX;

template <class Number>
void put(std::string& out, std::uint8_t head, Number n) {
    char form[1 + sizeof(Number)];
    form[0] = static_cast<char>(head);
    const auto turned = swapped(n);
    std::memcpy(form + 1, &turned, sizeof(Number));
    out.append(form, sizeof(form));
}

void put(std::string& out, std::size_t head) { out += static_cast<char>(head); }

void put_unsigned(std::string& out, std::uint64_t n) {
    if (n <= positive_fixint_last)
        put(out, n);
    else if (n <= UINT8_MAX)
        put(out, uint8, static_cast<std::uint8_t>(n));
    else if (n <= UINT16_MAX)
        put(out, uint16, static_cast<std::uint16_t>(n));
    else if (n <= UINT32_MAX)
        put(out, uint32, static_cast<std::uint32_t>(n));
    else
        put(out, uint64, n);
}

void put_integer(std::string& out, std::int64_t n) {
    if (n >= 0)
        put_unsigned(out, static_cast<std::uint64_t>(n));
    else if (n >= -32)
        out += static_cast<char>(n);
    else if (n >= INT8_MIN)
        put(out, int8, static_cast<std::int8_t>(n));
    else if (n >= INT16_MIN)
        put(out, int16, static_cast<std::int16_t>(n));
    else if (n >= INT32_MIN)
        put(out, int32, static_cast<std::int32_t>(n));
    else
        put(out, int64, n);
}

void put_text_head(std::string& out, std::size_t size) {
    if (size < 32)
        put(out, fixstr | size);
    else if (size <= UINT8_MAX)
        put(out, str8, static_cast<std::uint8_t>(size));
    else if (size <= UINT16_MAX)
        put(out, str16, static_cast<std::uint16_t>(size));
    else
        put(out, str32, static_cast<std::uint32_t>(size));
}

void put_bytes(std::string& out, bytes_view data) {
    if (data.size() <= UINT8_MAX)
        put(out, bin8, static_cast<std::uint8_t>(data.size()));
    else if (data.size() <= UINT16_MAX)
        put(out, bin16, static_cast<std::uint16_t>(data.size()));
    else
        put(out, bin32, static_cast<std::uint32_t>(data.size()));
    out += as_text(data);
}

// Appends values. After a false, `problem` says why and the output is of no use.
class writer {
public:
    explicit writer(std::string& out) : out_(out) {}
    failure problem;

    bool text(std::string_view t) {
        if (!is_utf8(as_bytes(t)))
            return refuse(errc::invalid, "A text is not valid UTF-8.");
        if (t.size() > size_max)
            return refuse(errc::too_large, "A text is larger than msgpack can say.");
        put_text_head(out_, t.size());
        out_ += t;
        return true;
    }

    bool any(const value& v, std::size_t levels) {
        if (const auto* t = v.if_string())
            return text(*t);
        if (const auto* i = v.if_int64())
            put_integer(out_, *i);
        else if (const auto* members = v.if_object())
            return map(*members, levels);
        else if (const auto* items = v.if_array())
            return list(*items, levels);
        else if (const auto* data = v.if_bytes())
            return blob(*data);
        else if (const auto* d = v.if_double())
            put(out_, float64, std::bit_cast<std::uint64_t>(*d));
        else if (const auto* b = v.if_bool())
            put(out_, *b ? true_head : false_head);
        else if (const auto* u = v.if_uint64())
            put_unsigned(out_, *u);
        else
            put(out_, nil);
        return true;
    }

private:
    bool container(std::size_t size, std::size_t levels) {
        if (levels == 0)
            return refuse(errc::too_large, "The value is nested too deep.");
        if (size > size_max)
            return refuse(errc::too_large, "A list is larger than msgpack can say.");
        return true;
    }
    bool blob(const bytes& data) {
        if (data.size() > size_max)
            return refuse(errc::too_large, "A value of bytes is larger than msgpack can say.");
        put_bytes(out_, data);
        return true;
    }
    bool list(const array& items, std::size_t levels) {
        if (!container(items.size(), levels))
            return false;
        append_msgpack_array_head(out_, items.size());
        for (const auto& item : items)
            if (!any(item, levels - 1))
                return false;
        return true;
    }
    bool map(const object& members, std::size_t levels) {
        if (!container(members.size(), levels))
            return false;
        append_msgpack_map_head(out_, members.size());
        for (const auto& [name, content] : members)
            if (!text(name) || !any(content, levels - 1))
                return false;
        return true;
    }
    bool refuse(errc code, const char* why) {
        problem = {code, why};
        return false;
    }

    std::string& out_;
};

result<void> finished(std::string& out, std::size_t begin, bool well, writer& w) {
    if (well)
        return {};
    out.resize(begin);
    return std::move(w.problem);
}

} // namespace

result<void> append_msgpack(std::string& out, const value& content, std::size_t depth_max) {
    const auto begin = out.size();
    writer w(out);
    const bool well = w.any(content, depth_max);
    return finished(out, begin, well, w);
}

void append_msgpack_map_head(std::string& out, std::size_t members) {
    if (members < 16)
        put(out, fixmap | members);
    else if (members <= UINT16_MAX)
        put(out, map16, static_cast<std::uint16_t>(members));
    else
        put(out, map32, static_cast<std::uint32_t>(members));
}

void append_msgpack_array_head(std::string& out, std::size_t items) {
    if (items < 16)
        put(out, fixarray | items);
    else if (items <= UINT16_MAX)
        put(out, array16, static_cast<std::uint16_t>(items));
    else
        put(out, array32, static_cast<std::uint32_t>(items));
}

result<void> append_msgpack_text(std::string& out, std::string_view text) {
    const auto begin = out.size();
    writer w(out);
    const bool well = w.text(text);
    return finished(out, begin, well, w);
}

} // namespace carillon::wire
