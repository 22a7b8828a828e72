#include <carillon/db/schema.hpp>

#include <fmt/format.h>

#include <carillon/base/assert.hpp>
#include <carillon/wire/json.hpp>

namespace carillon::db {

namespace {

bool is_identifier(std::string_view name) noexcept {
    if (name.empty() || name.size() > 63 || (name[0] >= '0' && name[0] <= '9'))
        return false;
    for (char c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    return true;
}

std::size_t characters(std::string_view utf8) noexcept {
    std::size_t n = 0;
    for (char c : utf8)
        n += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    return n;
}

std::string sql_type(const column& c) {
    switch (c.kind) {
    case column_kind::boolean: return "bool";
    case column_kind::integer: return "integer";
    case column_kind::real: return "real";
    case column_kind::timestamp: return "datetime";
    case column_kind::bytes: return "blob";
    case column_kind::json: return "text";
    case column_kind::text: break;
    }
    return c.max_chars ? fmt::format("varchar({})", c.max_chars) : "text";
}

std::string quoted(std::string_view text) {
    std::string out = "'";
    for (char c : text) {
        out += c;
        if (c == '\'')
            out += c;
    }
    return out + "'";
}

std::string sql_literal(const value& v) {
    if (v.is_null())
        return "NULL";
    if (v.is_bool())
        return v.to_bool() ? "1" : "0";
    if (v.is_integer())
        return fmt::format("{}", v.to_int());
    if (v.is_number())
        return fmt::format("{}", v.to_double());
    return quoted(v.is_string() ? std::string(v.to_text()) : to_json(v));
}

} // namespace

table_schema::table_schema(std::string name) : name_(std::move(name)) {
    CARILLON_ASSERT(is_identifier(name_), "a table is named in lower-case letters, digits and '_'");
}

void table_schema::add(column described) {
    CARILLON_ASSERT(is_identifier(described.name),
                    "a column is named in lower-case letters, digits and '_'");
    CARILLON_ASSERT(!find(described.name), "a column is described once");
    columns_.push_back(std::move(described));
}

const column* table_schema::find(std::string_view name) const noexcept {
    for (const auto& c : columns_)
        if (c.name == name)
            return &c;
    return nullptr;
}

const column& table_schema::key() const {
    for (const auto& c : columns_)
        if (c.primary_key)
            return c;
    CARILLON_ASSERT(false, "a table has a primary key");
}

std::vector<std::string> table_schema::create_sql() const {
    std::string table = fmt::format("CREATE TABLE \"{}\" (", name_);
    std::vector<std::string> indexes;
    for (const auto& c : columns_) {
        if (&c != &columns_.front())
            table += ", ";
        table += fmt::format("\"{}\" {}{}", c.name, sql_type(c), c.nullable ? "" : " NOT NULL");
        if (c.primary_key)
            table += c.kind == column_kind::integer ? " PRIMARY KEY AUTOINCREMENT" : " PRIMARY KEY";
        if (c.unique)
            table += " UNIQUE";
        if (c.default_value)
            table += " DEFAULT " + sql_literal(*c.default_value);
        if (c.indexed)
            indexes.push_back(
                fmt::format("CREATE INDEX \"{0}_{1}_idx\" ON \"{0}\" (\"{1}\")", name_, c.name));
    }
    indexes.insert(indexes.begin(), table + ")");
    return indexes;
}

object table_schema::to_object(const void* row) const {
    object shown;
    shown.reserve(columns_.size());
    for (const auto& c : columns_) {
        auto content = c.read(row);
        if (c.kind == column_kind::timestamp && content.is_string()) {
            auto when = detail::load_time(content);
            shown.append(c.name, when ? value(to_iso8601(*when)) : value());
        } else if (c.kind == column_kind::json && content.is_string()) {
            value parsed;
            shown.append(c.name, detail::load_json(parsed, content) ? std::move(parsed) : value());
        } else {
            shown.append(c.name, std::move(content));
        }
    }
    return shown;
}

result<void> table_schema::validate(const void* row) const {
    for (const auto& c : columns_) {
        if (c.kind != column_kind::text || c.max_chars == 0)
            continue;
        const auto content = c.read(row);
        if (characters(content.to_text()) > c.max_chars)
            return failure{errc::invalid,
                           fmt::format("{} holds more than {} characters", c.name, c.max_chars)};
    }
    return {};
}

result<void> field<bool>::load(bool& member, const value& stored) {
    if (auto* b = stored.if_bool())
        member = *b;
    else if (auto* n = stored.if_int64(); n && (*n == 0 || *n == 1))
        member = *n == 1;
    else
        return detail::mismatch(kind);
    return {};
}

result<void> field<double>::load(double& member, const value& stored) {
    if (!stored.is_number())
        return detail::mismatch(kind);
    member = stored.to_double();
    return {};
}

result<void> field<std::string>::load(std::string& member, const value& stored) {
    auto* text = stored.if_string();
    if (!text)
        return detail::mismatch(kind);
    member = *text;
    return {};
}

result<void> field<utc_time>::load(utc_time& member, const value& stored) {
    auto when = detail::load_time(stored);
    if (!when)
        return detail::mismatch(kind);
    member = *when;
    return {};
}

result<void> field<bytes>::load(bytes& member, const value& stored) {
    auto* data = stored.if_bytes();
    if (!data)
        return detail::mismatch(kind);
    member = *data;
    return {};
}

namespace detail {

failure mismatch(column_kind wanted) {
    static constexpr std::string_view words[] = {"a boolean",   "an integer", "a number", "a text",
                                                 "a timestamp", "bytes",      "JSON"};
    return {errc::corrupt, fmt::format("expected {}", words[static_cast<std::size_t>(wanted)])};
}

std::string store_time(utc_time when) {
    auto text = to_iso8601(when); // 2026-02-03T14:30:00.123456Z
    text[10] = ' ';
    text.pop_back();
    return text;
}

std::optional<utc_time> load_time(const value& stored) { return from_iso8601(stored.to_text()); }

value store_json(const value& v) { return to_json(v); }

result<void> load_json(value& member, const value& stored) {
    auto* text = stored.if_string();
    if (!text)
        return mismatch(column_kind::json);
    auto parsed = parse_json(*text);
    if (!parsed)
        return mismatch(column_kind::json);
    member = *std::move(parsed);
    return {};
}

} // namespace detail

} // namespace carillon::db
