// The description of a model: which member of a plain struct is which column. Table, queries and JSON come from it.
//
//     struct report_job {
//         std::string id;
//         int progress = 0;
//         std::optional<utc_time> finished_at;
//         static const db::table<report_job>& schema();
//     };
//     const db::table<report_job>& report_job::schema() {
//         static const auto made = db::table<report_job>("reports_reportjob")
//                                      .column("id", &report_job::id, db::primary_key, db::max_chars(36))
//                                      .column("progress", &report_job::progress)
//                                      .column("finished_at", &report_job::finished_at, db::indexed);
//         return made;
//     }
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <carillon/base/clock.hpp>
#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

namespace carillon::db {

// What a column holds. A timestamp is stored as Django stores it in SQLite: UTC text `2026-02-03 14:30:00.123456`.
enum class column_kind : std::uint8_t { boolean, integer, real, text, timestamp, bytes, json };

struct column {
    std::string name;
    column_kind kind = column_kind::text;
    bool nullable = false;
    bool primary_key = false; // an integer key of 0 is given by the database on insert
    bool indexed = false;
    bool unique = false;
    std::size_t max_chars = 0; // characters of a text; 0: no limit
    std::optional<value> default_value;
    std::function<value(const void* row)> read; // the member as it is stored
    std::function<result<void>(void* row, const value& stored)> write;
};

// Options of a column.
inline constexpr struct primary_key_option {
} primary_key;
inline constexpr struct indexed_option {
} indexed;
inline constexpr struct unique_option {
} unique;
struct max_chars {
    explicit constexpr max_chars(std::size_t n) : limit(n) {}
    std::size_t limit;
};
// The default in the database, for rows that others insert without this column.
struct default_to {
    explicit default_to(value v) : content(std::move(v)) {}
    value content;
};

inline void apply(column& c, primary_key_option) { c.primary_key = true; }
inline void apply(column& c, indexed_option) { c.indexed = true; }
inline void apply(column& c, unique_option) { c.unique = true; }
inline void apply(column& c, max_chars option) { c.max_chars = option.limit; }
inline void apply(column& c, default_to option) { c.default_value = std::move(option.content); }

// A table and its columns, without the type of its rows. Immutable once built.
class table_schema {
public:
    // Names are lower-case identifiers: they stand in SQL as they are, and others are a programmer error.
    explicit table_schema(std::string name);
    const std::string& name() const noexcept { return name_; }
    const std::vector<column>& columns() const noexcept { return columns_; }
    // The column of that name, or null.
    const column* find(std::string_view name) const noexcept;
    // The one primary key; a table without one is a programmer error.
    const column& key() const;

    // CREATE TABLE and its indexes, in order, for SQLite.
    std::vector<std::string> create_sql() const;
    // The row as an object in the order of the columns: what JSON shows. Timestamps are ISO 8601 with `Z`.
    object to_object(const void* row) const;
    // What the row may not hold: errc::invalid names the column whose text is longer than its max_chars.
    result<void> validate(const void* row) const;

protected:
    void add(column described);

private:
    std::string name_;
    std::vector<column> columns_;
};

// How a C++ type is stored. `load` leaves the member alone when it fails (errc::corrupt).
template <class T>
struct field;

namespace detail {
failure mismatch(column_kind wanted);
std::string store_time(utc_time when);
std::optional<utc_time> load_time(const value& stored);
value store_json(const value& v);
result<void> load_json(value& member, const value& stored);
} // namespace detail

template <>
struct field<bool> {
    static constexpr auto kind = column_kind::boolean;
    static value store(bool v) { return v; }
    static result<void> load(bool& member, const value& stored);
};
template <class T>
requires(std::signed_integral<T> ||
         (std::unsigned_integral<T> && sizeof(T) < 8 && !std::same_as<T, bool>)) struct field<T> {
    static constexpr auto kind = column_kind::integer;
    static value store(T v) { return v; }
    static result<void> load(T& member, const value& stored) {
        auto* n = stored.if_int64();
        if (!n || !std::in_range<T>(*n))
            return detail::mismatch(kind);
        member = static_cast<T>(*n);
        return {};
    }
};
template <>
struct field<double> {
    static constexpr auto kind = column_kind::real;
    static value store(double v) { return v; }
    static result<void> load(double& member, const value& stored);
};
template <>
struct field<std::string> {
    static constexpr auto kind = column_kind::text;
    static value store(const std::string& v) { return v; }
    static result<void> load(std::string& member, const value& stored);
};
template <>
struct field<utc_time> {
    static constexpr auto kind = column_kind::timestamp;
    static value store(utc_time v) { return detail::store_time(v); }
    static result<void> load(utc_time& member, const value& stored);
};
template <>
struct field<bytes> {
    static constexpr auto kind = column_kind::bytes;
    static value store(const bytes& v) { return v; }
    static result<void> load(bytes& member, const value& stored);
};
// Any JSON; null is stored as the text `null`.
template <>
struct field<value> {
    static constexpr auto kind = column_kind::json;
    static value store(const value& v) { return detail::store_json(v); }
    static result<void> load(value& member, const value& stored) {
        return detail::load_json(member, stored);
    }
};
// NULL is the empty optional.
template <class T>
struct field<std::optional<T>> {
    static constexpr auto kind = field<T>::kind;
    static value store(const std::optional<T>& v) { return v ? field<T>::store(*v) : value(); }
    static result<void> load(std::optional<T>& member, const value& stored) {
        if (stored.is_null()) {
            member.reset();
            return {};
        }
        T content{};
        if (auto loaded = field<T>::load(content, stored); !loaded)
            return loaded;
        member = std::move(content);
        return {};
    }
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

// The same with the type of its rows, built column by column.
template <class Row>
class table final : public table_schema {
public:
    using table_schema::table_schema;

    template <class Member, class... Options>
    table& column(std::string name, Member Row::*member, Options... options) & {
        db::column described;
        described.name = std::move(name);
        described.kind = field<Member>::kind;
        described.nullable = is_optional<Member>;
        described.read = [member](const void* row) {
            return field<Member>::store(static_cast<const Row*>(row)->*member);
        };
        described.write = [member](void* row, const value& stored) {
            return field<Member>::load(static_cast<Row*>(row)->*member, stored);
        };
        (apply(described, std::move(options)), ...);
        add(std::move(described));
        return *this;
    }
    template <class Member, class... Options>
    table&& column(std::string name, Member Row::*member, Options... options) && {
        return std::move(column(std::move(name), member, std::move(options)...));
    }
};

// The row as a JSON value, by the schema of its type.
template <class Row>
value to_value(const Row& row) {
    return Row::schema().to_object(&row);
}

} // namespace carillon::db
