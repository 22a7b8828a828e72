// SQLite as two small classes: a connection, and a prepared statement of it. Neither is
// thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <carillon/base/result.hpp>
#include <carillon/base/value.hpp>
#include <carillon/db/database.hpp>

struct sqlite3;
struct sqlite3_stmt;

namespace carillon::db::sqlite {

// What SQLite's present error means in our words; `doing` begins the message.
failure failure_of(sqlite3* connection, std::string_view doing);

// A prepared statement. Parameters are counted from 1, columns from 0. Texts and bytes are not
// copied: what was bound stays alive until reset().
class statement {
public:
    statement() = default;
    explicit statement(sqlite3_stmt* owned) : prepared_(owned) {}
    statement(statement&& other) noexcept : prepared_(std::exchange(other.prepared_, nullptr)) {}
    statement& operator=(statement&& other) noexcept {
        std::swap(prepared_, other.prepared_);
        return *this;
    }
    ~statement();

    void bind(int at, std::int64_t n) noexcept;
    void bind(int at, double d) noexcept;
    void bind(int at, std::string_view text) noexcept;
    void bind_null(int at) noexcept;
    // Any value but arrays and objects. False for an integer that SQLite cannot hold.
    bool bind_value(int at, const value& v) noexcept;
    int parameters() const noexcept;

    // True when there is a row to read, false at the end.
    result<bool> step();
    // Runs to the end without reading rows, and resets.
    result<void> run();
    // Ready for the next use; forgets what was bound.
    void reset() noexcept;

    int columns() const noexcept;
    std::string_view column_name(int at) const noexcept;
    std::int64_t integer(int at) const noexcept;
    // Valid until the next step.
    std::string_view text(int at) const noexcept;
    bool is_null(int at) const noexcept;
    value content(int at) const;
    bool only_reads() const noexcept;

    explicit operator bool() const noexcept { return prepared_ != nullptr; }

private:
    sqlite3_stmt* prepared_ = nullptr;
};

// Resets a statement that is kept for reuse when the scope ends, on every way out.
class reset_at_end {
public:
    explicit reset_at_end(statement& used) noexcept : used_(used) {}
    ~reset_at_end() { used_.reset(); }
    reset_at_end(const reset_at_end&) = delete;
    reset_at_end& operator=(const reset_at_end&) = delete;

private:
    statement& used_;
};

enum class durability : std::uint8_t {
    normal, // a commit survives the death of the process; the last ones may be lost with the power
    full,   // a commit is on disk when it returns
};

struct connection_options {
    std::chrono::milliseconds busy_timeout{5'000};
    durability sync = durability::normal;
    bool read_only = false;
    std::size_t cached_statements_max = 128;
};

class connection {
public:
    // Opens in WAL mode with foreign keys on; creates the file with mode 0600.
    static result<connection> open(const std::filesystem::path& file, connection_options options);
    connection(connection&&) noexcept;
    connection& operator=(connection&&) noexcept;
    ~connection();

    // A statement that the caller keeps.
    result<statement> prepare(std::string_view sql);
    // A statement from the cache. The cache is emptied when it is full, so hold none across many further calls.
    result<statement*> cached(std::string_view sql);
    // Runs one statement that has neither parameters nor rows.
    result<void> run(std::string_view sql);

    // Runs one statement with `?` parameters.
    result<rows> query(std::string_view sql, const array& parameters);
    result<std::int64_t> execute(std::string_view sql, const array& parameters);

    // False while a transaction is open.
    bool idle() const noexcept;
    std::int64_t changes() const noexcept;
    sqlite3* handle() const noexcept { return handle_; }

private:
    connection(sqlite3* opened, std::unique_ptr<connection_options> options);
    result<void> configure();
    result<void> enter_wal_mode();
    sqlite3* handle_ = nullptr;
    std::unique_ptr<connection_options> options_; // its address is known to SQLite's busy handler
    std::unordered_map<std::string, statement> cache_;
};

} // namespace carillon::db::sqlite
