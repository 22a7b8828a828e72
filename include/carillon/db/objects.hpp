// The rows of one model: insert, get, update, remove, and queries with filter, order and limit.
//
//     db::objects<report_job> reports(database);              // or a transaction
//     reports.insert(row).value();
//     auto newest = reports.where("status", "started").order_by("-created_at").limit(20).all().value();
//
// A column that the schema lacks: errc::invalid, since names may come from a request.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/db/database.hpp>
#include <carillon/db/schema.hpp>

namespace carillon::db {

enum class compare : std::uint8_t {
    equal, // with null: IS NULL
    not_equal,
    less,
    less_or_equal,
    greater,
    greater_or_equal,
    contains, // text: without regard to ASCII case
    in,       // the value is an array
};

// A query under construction, without the type of its rows.
class selection_base {
public:
    result<std::int64_t> count() const;
    // Sets columns in every row that matches, and gives their number.
    result<std::int64_t>
    update(std::initializer_list<std::pair<std::string_view, value>> columns) const;
    // Removes every row that matches, and gives their number. Order and limit do not apply.
    result<std::int64_t> remove() const;

protected:
    selection_base(session& on, const table_schema& schema) : session_(&on), schema_(&schema) {}
    void add_condition(std::string_view column, compare how, value operand);
    void add_order(std::string_view column);
    result<rows> fetch() const;

    session* session_;
    const table_schema* schema_;
    std::optional<std::uint64_t> limit_, offset_;

private:
    std::string where_clause() const;
    std::string conditions_, order_;
    array parameters_;
    std::optional<failure> wrong_;
};

template <class Row>
class selection final : public selection_base {
public:
    explicit selection(session& on) : selection_base(on, Row::schema()) {}

    // Conditions are joined by AND.
    selection& where(std::string_view column, value equals) {
        return where(column, compare::equal, std::move(equals));
    }
    selection& where(std::string_view column, compare how, value operand) {
        add_condition(column, how, std::move(operand));
        return *this;
    }
    // A leading '-' means descending, as in Django. May be repeated.
    selection& order_by(std::string_view column) {
        add_order(column);
        return *this;
    }
    selection& limit(std::uint64_t rows_max) {
        limit_ = rows_max;
        return *this;
    }
    selection& offset(std::uint64_t rows_skipped) {
        offset_ = rows_skipped;
        return *this;
    }

    result<std::vector<Row>> all() const;
    result<std::optional<Row>> first() const;
};

namespace detail {
result<void> load(const table_schema& schema, const row& from, void* into);
result<void> insert(session& on, const table_schema& schema, void* row);
result<rows> get(session& on, const table_schema& schema, const value& key);
result<bool> update(session& on, const table_schema& schema, const void* row,
                    std::initializer_list<std::string_view> columns);
result<bool> remove(session& on, const table_schema& schema, const value& key);

template <class Row>
result<std::vector<Row>> load_all(result<rows> found) {
    if (!found)
        return found.error();
    std::vector<Row> loaded(found->size());
    for (std::size_t i = 0; i < loaded.size(); ++i)
        if (auto done = load(Row::schema(), (*found)[i], &loaded[i]); !done)
            return done.error();
    return loaded;
}
template <class Row>
result<std::optional<Row>> load_first(result<rows> found) {
    auto loaded = load_all<Row>(std::move(found));
    if (!loaded)
        return loaded.error();
    return loaded->empty() ? std::optional<Row>() : std::optional<Row>(std::move(loaded->front()));
}
} // namespace detail

template <class Row>
class objects {
public:
    // The session must outlive this and every query that it makes.
    explicit objects(session& on) : session_(on) {}

    // Adds the row; an integer key of 0 gets the one the database chose. errc::conflict when a key is taken.
    result<void> insert(Row& row) const { return detail::insert(session_, Row::schema(), &row); }
    result<std::optional<Row>> get(const value& key) const {
        return detail::load_first<Row>(detail::get(session_, Row::schema(), key));
    }
    // Writes these columns of the row, all but the key when none is named. False when there is no such row.
    result<bool> update(const Row& row,
                        std::initializer_list<std::string_view> columns = {}) const {
        return detail::update(session_, Row::schema(), &row, columns);
    }
    result<bool> remove(const value& key) const {
        return detail::remove(session_, Row::schema(), key);
    }

    selection<Row> all() const { return selection<Row>(session_); }
    selection<Row> where(std::string_view column, value equals) const {
        return std::move(all().where(column, std::move(equals)));
    }
    selection<Row> where(std::string_view column, compare how, value operand) const {
        return std::move(all().where(column, how, std::move(operand)));
    }

private:
    session& session_;
};

template <class Row>
result<std::vector<Row>> selection<Row>::all() const {
    return detail::load_all<Row>(fetch());
}
template <class Row>
result<std::optional<Row>> selection<Row>::first() const {
    auto one = *this;
    one.limit_ = 1;
    return detail::load_first<Row>(one.fetch());
}

} // namespace carillon::db
