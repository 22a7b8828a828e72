#include "db/sqlite.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <fmt/format.h>

#include <carillon/wire/json.hpp>

namespace carillon::db::sqlite {

namespace {

errc code_of(int sqlite_code) noexcept {
    switch (sqlite_code & 0xff) {
    case SQLITE_CONSTRAINT: return errc::conflict;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOMEM: return errc::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return errc::corrupt;
    case SQLITE_TOOBIG: return errc::too_large;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE: return errc::invalid;
    default: return errc::internal;
    }
}

// SQLite's own handler sleeps up to 100 ms between tries, which two processes on one queue would
// feel.
int wait_while_busy(void* options, int tries) noexcept {
    constexpr int step_ms = 1;
    if (tries * step_ms >= static_cast<const connection_options*>(options)->busy_timeout.count())
        return 0;
    sqlite3_sleep(step_ms); // another process's lock sends no event
    return 1;
}

// A file that is there is not opened: closing any descriptor of a file drops all of this process' locks on it, also
// those of its other connections, and the next process that closes the database would take it for unused and remove its
// log.
result<void> create_private_file(const std::filesystem::path& file) {
    const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made >= 0) {
        ::close(made);
        return {};
    }
    if (errno == EEXIST && ::access(file.c_str(), R_OK | W_OK) == 0)
        return {};
    return failure{errc::unavailable, fmt::format("cannot open the database {}: {}", file.string(),
                                                  std::generic_category().message(errno))};
}

} // namespace

failure failure_of(sqlite3* connection, std::string_view doing) {
    const int code = sqlite3_extended_errcode(connection);
    return {code_of(code), fmt::format("{}: {}", doing, sqlite3_errmsg(connection))};
}

statement::~statement() { sqlite3_finalize(prepared_); }

void statement::bind(int at, std::int64_t n) noexcept { sqlite3_bind_int64(prepared_, at, n); }
void statement::bind(int at, double d) noexcept { sqlite3_bind_double(prepared_, at, d); }
void statement::bind(int at, std::string_view text) noexcept {
    // A null pointer would bind NULL, which an empty text is not.
    sqlite3_bind_text64(prepared_, at, text.data() ? text.data() : "", text.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
}
void statement::bind_null(int at) noexcept { sqlite3_bind_null(prepared_, at); }

bool statement::bind_value(int at, const value& v) noexcept {
    if (auto* b = v.if_bool())
        bind(at, std::int64_t{*b});
    else if (auto* n = v.if_int64())
        bind(at, *n);
    else if (auto* d = v.if_double())
        bind(at, *d);
    else if (auto* text = v.if_string())
        bind(at, std::string_view(*text));
    else if (auto* data = v.if_bytes())
        sqlite3_bind_blob64(prepared_, at,
                            data->empty() ? "" : static_cast<const void*>(data->data()),
                            data->size(), SQLITE_STATIC);
    else if (v.is_null())
        bind_null(at);
    else
        return false;
    return true;
}

int statement::parameters() const noexcept { return sqlite3_bind_parameter_count(prepared_); }

result<bool> statement::step() {
    const int code = sqlite3_step(prepared_);
    if (code == SQLITE_ROW)
        return true;
    if (code == SQLITE_DONE)
        return false;
    return failure_of(sqlite3_db_handle(prepared_), "the database refused a statement");
}

result<void> statement::run() {
    reset_at_end after(*this);
    for (;;) {
        auto more = step();
        if (!more)
            return more.error();
        if (!*more)
            return {};
    }
}

void statement::reset() noexcept {
    sqlite3_reset(prepared_);
    sqlite3_clear_bindings(prepared_);
}

int statement::columns() const noexcept { return sqlite3_column_count(prepared_); }
std::string_view statement::column_name(int at) const noexcept {
    return sqlite3_column_name(prepared_, at);
}
std::int64_t statement::integer(int at) const noexcept {
    return sqlite3_column_int64(prepared_, at);
}
std::string_view statement::text(int at) const noexcept {
    auto* data = reinterpret_cast<const char*>(sqlite3_column_text(prepared_, at));
    return data ? std::string_view(data,
                                   static_cast<std::size_t>(sqlite3_column_bytes(prepared_, at)))
                : std::string_view();
}
bool statement::is_null(int at) const noexcept {
    return sqlite3_column_type(prepared_, at) == SQLITE_NULL;
}

value statement::content(int at) const {
    switch (sqlite3_column_type(prepared_, at)) {
    case SQLITE_INTEGER: return integer(at);
    case SQLITE_FLOAT: return sqlite3_column_double(prepared_, at);
    case SQLITE_TEXT: return text(at);
    case SQLITE_BLOB: {
        auto* data = static_cast<const std::byte*>(sqlite3_column_blob(prepared_, at));
        return bytes(data, data + sqlite3_column_bytes(prepared_, at));
    }
    default: return nullptr;
    }
}

bool statement::only_reads() const noexcept { return sqlite3_stmt_readonly(prepared_) != 0; }

connection::connection(sqlite3* opened, std::unique_ptr<connection_options> options)
    : handle_(opened), options_(std::move(options)) {}
connection::connection(connection&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), options_(std::move(other.options_)),
      cache_(std::move(other.cache_)) {}
connection& connection::operator=(connection&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(options_, other.options_);
    std::swap(cache_, other.cache_);
    return *this;
}
connection::~connection() {
    cache_.clear();
    sqlite3_close(handle_);
}

result<connection> connection::open(const std::filesystem::path& file, connection_options options) {
    if (auto made = create_private_file(file); !made)
        return made.error();
    sqlite3* opened = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(file.c_str(), &opened, flags, nullptr);
    connection made(opened, std::make_unique<connection_options>(options));
    if (code != SQLITE_OK)
        return failure_of(opened, fmt::format("cannot open the database {}", file.string()));
    if (auto configured = made.configure(); !configured)
        return failure{configured.error().code,
                       fmt::format("cannot open the database {}: {}", file.string(),
                                   configured.error().message)};
    return made;
}

result<void> connection::configure() {
    sqlite3_busy_handler(handle_, wait_while_busy, options_.get());
    for (auto* pragma :
         {"PRAGMA journal_mode=WAL", "PRAGMA foreign_keys=ON", "PRAGMA journal_size_limit=67108864",
          options_->sync == durability::full ? "PRAGMA synchronous=FULL"
                                             : "PRAGMA synchronous=NORMAL",
          options_->read_only ? "PRAGMA query_only=ON" : "PRAGMA query_only=OFF"})
        if (auto done = run(pragma); !done)
            return done;
    return {};
}

result<statement> connection::prepare(std::string_view sql) {
    sqlite3_stmt* prepared = nullptr;
    const char* rest = nullptr;
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &prepared, &rest);
    statement made(prepared);
    if (code != SQLITE_OK)
        return failure_of(handle_, "the database refused a statement");
    const auto tail = sql.substr(static_cast<std::size_t>(rest - sql.data()));
    if (!prepared || tail.find_first_not_of(" \t\r\n;") != std::string_view::npos)
        return failure{errc::invalid, "expected exactly one SQL statement"};
    return made;
}

result<statement*> connection::cached(std::string_view sql) {
    std::string key(sql);
    if (auto known = cache_.find(key); known != cache_.end())
        return &known->second;
    auto made = prepare(sql);
    if (!made)
        return made.error();
    if (cache_.size() >= options_->cached_statements_max)
        cache_.clear();
    return &cache_.emplace(std::move(key), *std::move(made)).first->second;
}

result<void> connection::run(std::string_view sql) {
    auto prepared = prepare(sql);
    if (!prepared)
        return prepared.error();
    return prepared->run();
}

namespace {

// Binds all, keeping the JSON texts of composed values in `texts` until the statement is done.
result<void> bind_all(statement& prepared, const array& parameters,
                      std::vector<std::string>& texts) {
    if (static_cast<std::size_t>(prepared.parameters()) != parameters.size())
        return failure{errc::invalid, fmt::format("the statement has {} parameters, {} were given",
                                                  prepared.parameters(), parameters.size())};
    texts.reserve(parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const auto& given = parameters[i];
        const int at = static_cast<int>(i) + 1;
        if (given.is_array() || given.is_object())
            prepared.bind(at, std::string_view(texts.emplace_back(to_json(given))));
        else if (!prepared.bind_value(at, given))
            return failure{errc::invalid, "an integer is larger than the database can hold"};
    }
    return {};
}

} // namespace

result<rows> connection::query(std::string_view sql, const array& parameters) {
    auto prepared = cached(sql);
    if (!prepared)
        return prepared.error();
    auto& used = **prepared;
    reset_at_end after(used);
    std::vector<std::string> texts;
    if (auto bound = bind_all(used, parameters, texts); !bound)
        return bound.error();
    // After the first step: only then has SQLite noticed that a table has changed since the statement was prepared.
    auto more = used.step();
    auto names = std::make_shared<std::vector<std::string>>();
    const int width = used.columns();
    for (int i = 0; i < width; ++i)
        names->emplace_back(used.column_name(i));
    rows found;
    for (; more && *more; more = used.step()) {
        std::vector<value> content;
        content.reserve(static_cast<std::size_t>(width));
        for (int i = 0; i < width; ++i)
            content.push_back(used.content(i));
        found.emplace_back(names, std::move(content));
    }
    if (!more)
        return more.error();
    return found;
}

result<std::int64_t> connection::execute(std::string_view sql, const array& parameters) {
    auto prepared = cached(sql);
    if (!prepared)
        return prepared.error();
    auto& used = **prepared;
    reset_at_end after(used);
    std::vector<std::string> texts;
    if (auto bound = bind_all(used, parameters, texts); !bound)
        return bound.error();
    const auto before = sqlite3_total_changes64(handle_);
    for (;;) {
        auto more = used.step();
        if (!more)
            return more.error();
        if (!*more)
            break;
    }
    return sqlite3_total_changes64(handle_) == before ? 0 : changes();
}

bool connection::idle() const noexcept { return sqlite3_get_autocommit(handle_) != 0; }
std::int64_t connection::changes() const noexcept { return sqlite3_changes64(handle_); }

} // namespace carillon::db::sqlite
