#include "jobs/broker/amqp_fields.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <utility>

#include "wire/utf8.hpp"

namespace carillon::jobs::amqp {

namespace {

constexpr std::size_t short_bytes_max = 255;

// The properties of class basic in the order of their flags, from bit 15 down.
enum class field_kind : std::uint8_t { text, table, octet, time };
struct field {
    const char* name; // null: read over
    field_kind kind;
};
constexpr std::array fields{
    field{"content_type", field_kind::text},     field{"content_encoding", field_kind::text},
    field{nullptr, field_kind::table},           field{"delivery_mode", field_kind::octet},
    field{"priority", field_kind::octet},        field{"correlation_id", field_kind::text},
    field{"reply_to", field_kind::text},         field{"expiration", field_kind::text},
    field{nullptr /* id */, field_kind::text},   field{nullptr, field_kind::time},
    field{nullptr /* type */, field_kind::text}, field{nullptr /* user */, field_kind::text},
    field{nullptr /* app */, field_kind::text},  field{nullptr, field_kind::text},
};
constexpr std::size_t header_field = 2;

constexpr std::uint16_t flag_of(std::size_t index) noexcept {
    return static_cast<std::uint16_t>(0x8000u >> index);
}

// --- writing

template <std::unsigned_integral T>
void put(std::string& out, T number) {
    for (std::size_t i = sizeof(T); i-- > 0;)
        out += static_cast<char>((number >> (8 * i)) & 0xff);
}

void put_long(std::string& out, char tag, std::string_view text) {
    out += tag;
    put(out, static_cast<std::uint32_t>(text.size()));
    out += text;
}

void put_number(std::string& out, std::int64_t n) {
    if (n >= std::numeric_limits<std::int32_t>::min() &&
        n <= std::numeric_limits<std::int32_t>::max()) {
        out += 'I';
        put(out, static_cast<std::uint32_t>(n));
    } else {
        out += 'l';
        put(out, static_cast<std::uint64_t>(n));
    }
}

// Keeps room for a length, and fills it in at the end.
class sized {
public:
    explicit sized(std::string& out) : out_(out), at_(out.size()) { put(out, std::uint32_t{0}); }
    void done() {
        const auto bytes = static_cast<std::uint32_t>(out_.size() - at_ - 4);
        for (std::size_t i = 0; i < 4; ++i)
            out_[at_ + i] = static_cast<char>((bytes >> (8 * (3 - i))) & 0xff);
    }

private:
    std::string& out_;
    std::size_t at_;
};

bool put_table(std::string& out, const object& members, int depth);

bool put_value(std::string& out, const value& v, int depth) {
    if (const auto* text = v.if_string()) {
        put_long(out, 'S', *text);
    } else if (v.is_null()) {
        out += 'V';
    } else if (const auto* flag = v.if_bool()) {
        out += 't';
        out += *flag ? '\1' : '\0';
    } else if (const auto* number = v.if_int64()) {
        put_number(out, *number);
    } else if (v.is_number()) { // above INT64_MAX there is no type that all peers know
        out += 'd';
        put(out, std::bit_cast<std::uint64_t>(v.to_double()));
    } else if (const auto* data = v.if_bytes()) {
        put_long(out, 'x', as_text(*data));
    } else if (const auto* members = v.if_object()) {
        out += 'F';
        return put_table(out, *members, depth + 1);
    } else {
        if (depth >= nesting_max)
            return false;
        out += 'A';
        sized list(out);
        for (const auto& item : *v.if_array())
            if (!put_value(out, item, depth + 1))
                return false;
        list.done();
    }
    return true;
}

bool put_table(std::string& out, const object& members, int depth) {
    if (depth > nesting_max)
        return false;
    sized table(out);
    for (const auto& [name, content] : members) {
        if (name.size() > short_bytes_max)
            return false;
        out += static_cast<char>(name.size());
        out += name;
        if (!put_value(out, content, depth))
            return false;
    }
    table.done();
    return true;
}

// --- reading

// What is left of the bytes; once something did not fit, it fails for good.
class cursor {
public:
    explicit cursor(std::string_view bytes) : rest_(bytes) {}
    bool failed() const noexcept { return failed_; }
    bool empty() const noexcept { return rest_.empty(); }
    void fail() noexcept {
        failed_ = true;
        rest_ = {};
    }
    std::string_view take(std::size_t n) noexcept {
        if (n > rest_.size()) {
            fail();
            return {};
        }
        const auto out = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return out;
    }
    template <std::integral T>
    T number() noexcept {
        std::uint64_t out = 0;
        for (const char c : take(sizeof(T)))
            out = out << 8 | static_cast<unsigned char>(c);
        return static_cast<T>(out);
    }
    std::string_view short_text() noexcept { return take(number<std::uint8_t>()); }
    std::string_view long_text() noexcept { return take(number<std::uint32_t>()); }

private:
    std::string_view rest_;
    bool failed_ = false;
};

value as_value(std::string_view text) {
    if (wire::is_utf8(as_bytes(text)))
        return text;
    const auto data = as_bytes(text);
    return bytes(data.begin(), data.end());
}

object read_table(cursor& from, int depth);

value read_list(cursor& from, int depth);

value read_decimal(cursor& from) {
    const int scale = from.number<std::uint8_t>();
    return from.number<std::int32_t>() / std::pow(10.0, scale);
}

value read_value(cursor& from, int depth) {
    const char tag = from.number<char>();
    switch (tag) {
    case 'S': return as_value(from.long_text());
    case 'V': return nullptr;
    case 't': return from.number<std::uint8_t>() != 0;
    case 'I': return from.number<std::int32_t>();
    case 'l':
    case 'L': return from.number<std::int64_t>();
    case 'd': return std::bit_cast<double>(from.number<std::uint64_t>());
    case 'F': return read_table(from, depth + 1);
    case 'A': return read_list(from, depth + 1);
    case 'b': return from.number<std::int8_t>();
    case 'B': return from.number<std::uint8_t>();
    case 's': return from.number<std::int16_t>();
    case 'u': return from.number<std::uint16_t>();
    case 'i': return from.number<std::uint32_t>();
    case 'T': return from.number<std::uint64_t>();
    case 'f': return static_cast<double>(std::bit_cast<float>(from.number<std::uint32_t>()));
    case 'D': return read_decimal(from);
    case 'x': {
        const auto data = as_bytes(from.long_text());
        return bytes(data.begin(), data.end());
    }
    default: from.fail(); return {};
    }
}

value read_list(cursor& from, int depth) {
    array out;
    cursor items(from.long_text());
    if (depth > nesting_max)
        items.fail();
    while (!items.empty())
        out.push_back(read_value(items, depth));
    if (items.failed())
        from.fail();
    return out;
}

object read_table(cursor& from, int depth) {
    object out;
    cursor members(from.long_text());
    if (depth > nesting_max)
        members.fail();
    while (!members.empty()) {
        std::string name(members.short_text());
        auto content = read_value(members, depth);
        if (!members.failed())
            out.append(std::move(name), std::move(content));
    }
    if (members.failed())
        from.fail();
    return out;
}

} // namespace

result<std::string> write_properties(const wire::celery::message_parts& parts, int delivery_mode) {
    std::string out(2, '\0');
    std::uint16_t flags = 0;
    for (std::size_t i = 0; i < fields.size(); ++i) {
        if (i == header_field) {
            flags |= flag_of(i);
            if (!put_table(out, parts.headers, 0))
                return failure{errc::too_large, "the headers of a message are nested too deep, or "
                                                "one has a name of more than 255 bytes"};
            continue;
        }
        const auto* content = fields[i].name ? parts.properties.find(fields[i].name) : nullptr;
        if (fields[i].kind == field_kind::octet) {
            const bool is_mode = std::string_view(fields[i].name) == "delivery_mode";
            if (!is_mode && (!content || content->is_null()))
                continue;
            const auto n = content ? content->to_int(delivery_mode) : delivery_mode;
            out += static_cast<char>(std::clamp<std::int64_t>(n, 0, 255));
        } else {
            const auto text = content ? content->to_text() : std::string_view();
            if (text.empty())
                continue;
            if (text.size() > short_bytes_max)
                return failure{errc::too_large, std::string("the property ") + fields[i].name +
                                                    " of a message has more than 255 bytes"};
            out += static_cast<char>(text.size());
            out += text;
        }
        flags |= flag_of(i);
    }
    if (out.size() > properties_bytes_max)
        return failure{errc::too_large, "the headers of a message have " +
                                            std::to_string(out.size()) +
                                            " bytes; RabbitMQ takes at most 120,000"};
    out[0] = static_cast<char>(flags >> 8);
    out[1] = static_cast<char>(flags & 0xff);
    return out;
}

bool read_properties(std::string_view properties, wire::celery::message_parts& into) {
    cursor from(properties);
    const auto flags = from.number<std::uint16_t>();
    for (std::size_t i = 0; i < fields.size() && !from.failed(); ++i) {
        if (!(flags & flag_of(i)))
            continue;
        value content;
        switch (fields[i].kind) {
        case field_kind::text: content = as_value(from.short_text()); break;
        case field_kind::octet: content = from.number<std::uint8_t>(); break;
        case field_kind::time: from.take(8); break;
        case field_kind::table: into.headers = read_table(from, 0); break;
        }
        if (fields[i].name && !from.failed())
            into.properties.append(fields[i].name, std::move(content));
    }
    return !from.failed();
}

void strip_death(object& headers) {
    for (const auto* name :
         {"x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason"})
        headers.erase(name);
}

} // namespace carillon::jobs::amqp
