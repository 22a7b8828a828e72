// The database of an application: SQL with values as parameters, on one thread-safe object.
//
// Every call here blocks and belongs on a worker or pool thread, never on a shard. Failures: errc::invalid for SQL that
// the database refuses, errc::conflict for a broken constraint, errc::unavailable when it is locked or cannot be
// reached, errc::corrupt when the file is damaged.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>

namespace carillon::db {

// One row of an answer. The names of its columns are shared by all rows of one answer.
class row {
public:
    using names = std::shared_ptr<const std::vector<std::string>>;
    row(names columns, std::vector<value> content)
        : columns_(std::move(columns)), content_(std::move(content)) {}

    std::size_t size() const noexcept { return content_.size(); }
    const std::vector<std::string>& columns() const noexcept { return *columns_; }
    // By position, which must be below size().
    const value& at(std::size_t position) const noexcept { return content_[position]; }
    // By name; a null value stands for a column that the answer lacks.
    const value& operator[](std::string_view column) const noexcept;

private:
    names columns_;
    std::vector<value> content_;
};
using rows = std::vector<row>;

// What SQL can be run on: a database, or a transaction of it. `?` stands for the next parameter. Booleans are stored
// as 0 and 1, arrays and objects as JSON text. SQL that is meant to run on every database keeps to what SQLite 3.35
// and PostgreSQL share; both have RETURNING.
class session {
public:
    virtual ~session() = default;
    // Runs one statement and gives the rows it answers with.
    virtual result<rows> query(std::string_view sql, const array& parameters = {}) = 0;
    // Runs one statement and gives the number of rows it changed.
    virtual result<std::int64_t> execute(std::string_view sql, const array& parameters = {}) = 0;
};

struct database_options {
    std::chrono::milliseconds busy_timeout{
        5'000};                              // how long a call waits for another process's lock
    unsigned readers = 3;                    // connections that read at the same time, 1 to 64
    std::size_t cached_statements_max = 128; // prepared statements kept per connection
};

class transaction;

// One writing connection and a few that read. A call waits for its turn. Thread-safe.
class database final : public session {
public:
    // Opens or creates what `url` names: `sqlite:PATH`, with a folder that exists; a new file gets mode 0600.
    // errc::invalid for another scheme. PATH is taken as it stands; in-memory databases are refused, as their
    // connections would not see each other.
    static result<std::unique_ptr<database>> open(std::string_view url,
                                                  database_options options = {});
    ~database() override;

    // Statements that only read use a reading connection and see all that was committed; the others run alone, each
    // in a transaction of its own.
    result<rows> query(std::string_view sql, const array& parameters = {}) override;
    result<std::int64_t> execute(std::string_view sql, const array& parameters = {}) override;

    // Begins a transaction that may write at once. Other writers wait until it ends.
    result<transaction> begin();

    // Cheap proof that the database answers, for readiness checks.
    result<void> ping();

private:
    friend class transaction;
    struct impl;
    explicit database(std::unique_ptr<impl> owned);
    std::unique_ptr<impl> impl_;
};

// Several statements that happen together or not at all. It belongs to the thread that began it and holds the writing
// connection: until it ends that thread writes only through it (writing through the database is a programmer error).
// One that is destroyed without commit() rolls back.
class transaction final : public session {
public:
    transaction(transaction&&) noexcept;
    transaction& operator=(transaction&&) = delete;
    ~transaction() override;

    result<rows> query(std::string_view sql, const array& parameters = {}) override;
    result<std::int64_t> execute(std::string_view sql, const array& parameters = {}) override;
    // Ends it. After a failure nothing of it has happened. Nothing may be run on it afterwards.
    result<void> commit();
    void rollback() noexcept;

private:
    friend class database;
    struct impl;
    explicit transaction(std::unique_ptr<impl> owned);
    std::unique_ptr<impl> impl_;
};

} // namespace carillon::db
