#include <carillon/db/objects.hpp>

#include <fmt/format.h>

namespace carillon::db {

namespace {

failure no_such_column(const table_schema& schema, std::string_view name) {
    return {errc::invalid, fmt::format("{} has no column `{}`", schema.name(), name)};
}

std::string_view operator_of(compare how) noexcept {
    switch (how) {
    case compare::not_equal: return "<>";
    case compare::less: return "<";
    case compare::less_or_equal: return "<=";
    case compare::greater: return ">";
    case compare::greater_or_equal: return ">=";
    default: return "=";
    }
}

// LIKE's own characters stand for themselves.
std::string like_pattern(std::string_view text) {
    std::string out = "%";
    for (char c : text) {
        if (c == '%' || c == '_' || c == '\\')
            out += '\\';
        out += c;
    }
    return out + "%";
}

// A timestamp may be given as ISO 8601 text, since that is what JSON has.
value as_stored(const column& c, value operand) {
    if (c.kind == column_kind::timestamp)
        if (auto when = detail::load_time(operand))
            return detail::store_time(*when);
    if (c.kind == column_kind::json)
        return detail::store_json(operand);
    return operand;
}

std::string column_list(const table_schema& schema) {
    std::string list;
    for (const auto& c : schema.columns())
        list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", c.name);
    return list;
}

} // namespace

void selection_base::add_condition(std::string_view name, compare how, value operand) {
    auto* found = schema_->find(name);
    if (!found) {
        wrong_ = no_such_column(*schema_, name);
        return;
    }
    std::string condition;
    if (how == compare::in) {
        auto* items = operand.if_array();
        for (std::size_t i = 0; items && i < items->size(); ++i) {
            condition += i ? ", ?" : "?";
            parameters_.push_back(as_stored(*found, (*items)[i]));
        }
        condition = fmt::format("\"{}\" IN ({})", name, condition);
    } else if (operand.is_null() && how == compare::equal) {
        condition = fmt::format("\"{}\" IS NULL", name);
    } else if (operand.is_null() && how == compare::not_equal) {
        condition = fmt::format("\"{}\" IS NOT NULL", name);
    } else if (how == compare::contains) {
        condition = fmt::format("\"{}\" LIKE ? ESCAPE '\\'", name);
        parameters_.push_back(like_pattern(operand.to_text()));
    } else {
        condition = fmt::format("\"{}\" {} ?", name, operator_of(how));
        parameters_.push_back(as_stored(*found, std::move(operand)));
    }
    conditions_ += conditions_.empty() ? condition : " AND " + condition;
}

void selection_base::add_order(std::string_view name) {
    const bool descending = name.starts_with('-');
    if (descending)
        name.remove_prefix(1);
    if (!schema_->find(name)) {
        wrong_ = no_such_column(*schema_, name);
        return;
    }
    order_ += fmt::format("{}\"{}\"{}", order_.empty() ? " ORDER BY " : ", ", name,
                          descending ? " DESC" : "");
}

std::string selection_base::where_clause() const {
    return conditions_.empty() ? std::string() : " WHERE " + conditions_;
}

result<rows> selection_base::fetch() const {
    if (wrong_)
        return *wrong_;
    auto sql = fmt::format("SELECT {} FROM \"{}\"{}{}", column_list(*schema_), schema_->name(),
                           where_clause(), order_);
    auto parameters = parameters_;
    if (limit_ || offset_) {
        sql += " LIMIT ? OFFSET ?";
        parameters.push_back(static_cast<std::int64_t>(limit_.value_or(INT64_MAX)));
        parameters.push_back(static_cast<std::int64_t>(offset_.value_or(0)));
    }
    return session_->query(sql, parameters);
}

result<std::int64_t> selection_base::count() const {
    if (wrong_)
        return *wrong_;
    auto found = session_->query(
        fmt::format("SELECT COUNT(*) FROM \"{}\"{}", schema_->name(), where_clause()), parameters_);
    if (!found)
        return found.error();
    return found->front().at(0).to_int();
}

result<std::int64_t>
selection_base::update(std::initializer_list<std::pair<std::string_view, value>> columns) const {
    if (wrong_)
        return *wrong_;
    std::string list;
    array parameters;
    for (const auto& [name, content] : columns) {
        auto* found = schema_->find(name);
        if (!found)
            return no_such_column(*schema_, name);
        list += fmt::format("{}\"{}\" = ?", list.empty() ? "" : ", ", name);
        parameters.push_back(as_stored(*found, content));
    }
    if (list.empty())
        return std::int64_t{0};
    parameters.insert(parameters.end(), parameters_.begin(), parameters_.end());
    return session_->execute(
        fmt::format("UPDATE \"{}\" SET {}{}", schema_->name(), list, where_clause()), parameters);
}

result<std::int64_t> selection_base::remove() const {
    if (wrong_)
        return *wrong_;
    return session_->execute(fmt::format("DELETE FROM \"{}\"{}", schema_->name(), where_clause()),
                             parameters_);
}

namespace detail {

result<void> load(const table_schema& schema, const row& from, void* into) {
    for (std::size_t i = 0; i < schema.columns().size(); ++i) {
        const auto& c = schema.columns()[i];
        if (auto done = c.write(into, from.at(i)); !done)
            return failure{errc::corrupt,
                           fmt::format("{}.{}: {}", schema.name(), c.name, done.error().message)};
    }
    return {};
}

result<void> insert(session& on, const table_schema& schema, void* row) {
    if (auto fits = schema.validate(row); !fits)
        return fits;
    const auto& key = schema.key();
    const bool chosen_by_database = key.kind == column_kind::integer && key.read(row).to_int() == 0;
    std::string names, marks;
    array parameters;
    for (const auto& c : schema.columns()) {
        if (c.primary_key && chosen_by_database)
            continue;
        names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", c.name);
        marks += marks.empty() ? "?" : ", ?";
        parameters.push_back(c.read(row));
    }
    auto added = on.query(fmt::format("INSERT INTO \"{}\" ({}) VALUES ({}) RETURNING \"{}\"",
                                      schema.name(), names, marks, key.name),
                          parameters);
    if (!added)
        return added.error();
    return chosen_by_database ? key.write(row, added->front().at(0)) : result<void>();
}

result<rows> get(session& on, const table_schema& schema, const value& key) {
    return on.query(fmt::format("SELECT {} FROM \"{}\" WHERE \"{}\" = ?", column_list(schema),
                                schema.name(), schema.key().name),
                    {key});
}

result<bool> update(session& on, const table_schema& schema, const void* row,
                    std::initializer_list<std::string_view> columns) {
    if (auto fits = schema.validate(row); !fits)
        return fits.error();
    for (auto name : columns)
        if (!schema.find(name))
            return no_such_column(schema, name);
    std::string list;
    array parameters;
    for (const auto& c : schema.columns()) {
        const bool named = std::find(columns.begin(), columns.end(), c.name) != columns.end();
        if (c.primary_key || (columns.size() != 0 && !named))
            continue;
        list += fmt::format("{}\"{}\" = ?", list.empty() ? "" : ", ", c.name);
        parameters.push_back(c.read(row));
    }
    const auto& key = schema.key();
    parameters.push_back(key.read(row));
    auto changed = on.execute(
        fmt::format("UPDATE \"{}\" SET {} WHERE \"{}\" = ?", schema.name(), list, key.name),
        parameters);
    if (!changed)
        return changed.error();
    return *changed > 0;
}

result<bool> remove(session& on, const table_schema& schema, const value& key) {
    auto gone = on.execute(
        fmt::format("DELETE FROM \"{}\" WHERE \"{}\" = ?", schema.name(), schema.key().name),
        {key});
    if (!gone)
        return gone.error();
    return *gone > 0;
}

} // namespace detail

} // namespace carillon::db
