#include <carillon/db/database.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include <carillon/base/assert.hpp>

#include "db/sqlite.hpp"

namespace carillon::db {

const value& row::operator[](std::string_view column) const noexcept {
    static const value nothing;
    for (std::size_t i = 0; i < content_.size(); ++i)
        if ((*columns_)[i] == column)
            return content_[i];
    return nothing;
}

struct database::impl {
    explicit impl(sqlite::connection first) : writer(std::move(first)) {}

    // Synchronous NORMAL, the default of sqlite::connection, suits application tables: a commit
    // survives kill -9, and what the last moments before a power cut may lose is either repeated by
    // its job (the queue itself syncs every commit) or was never announced as durable. It saves one
    // disk sync per commit, 90 % of the time of a small write.
    sqlite::connection writer;
    std::mutex writing;
    std::atomic<std::thread::id> writing_thread{};

    std::mutex readers_guard;
    std::condition_variable reader_free;
    std::vector<sqlite::connection> idle_readers;

    std::unique_lock<std::mutex> lock_writer() {
        CARILLON_ASSERT(writing_thread.load() != std::this_thread::get_id(),
                        "a thread that holds a transaction writes through that transaction");
        return std::unique_lock(writing);
    }

    // A reading connection, given back at the end of the scope.
    class lease {
    public:
        explicit lease(impl& owner) : owner_(owner), reader_(owner.take_reader()) {}
        ~lease() { owner_.give_back(std::move(reader_)); }
        lease(const lease&) = delete;
        lease& operator=(const lease&) = delete;
        sqlite::connection* operator->() noexcept { return &reader_; }

    private:
        impl& owner_;
        sqlite::connection reader_;
    };

private:
    sqlite::connection take_reader() {
        std::unique_lock lock(readers_guard);
        reader_free.wait(lock, [&] { return !idle_readers.empty(); });
        auto taken = std::move(idle_readers.back());
        idle_readers.pop_back();
        return taken;
    }
    void give_back(sqlite::connection reader) {
        {
            std::lock_guard lock(readers_guard);
            idle_readers.push_back(std::move(reader));
        }
        reader_free.notify_one();
    }
};

database::database(std::unique_ptr<impl> owned) : impl_(std::move(owned)) {}
database::~database() = default;

result<std::unique_ptr<database>> database::open(std::string_view url, database_options options) {
    constexpr std::string_view scheme = "sqlite:";
    if (!url.starts_with(scheme))
        return failure{
            errc::invalid,
            fmt::format("the database `{}` has a scheme that is not known; expected sqlite:PATH",
                        url.substr(0, url.find(':')))};
    const std::filesystem::path file(url.substr(scheme.size()));
    if (file.empty() || file == ":memory:")
        return failure{errc::invalid, "the database URL names no file; expected sqlite:PATH"};
    sqlite::connection_options each;
    each.busy_timeout = options.busy_timeout;
    each.cached_statements_max = std::max<std::size_t>(options.cached_statements_max, 1);
    auto writer = sqlite::connection::open(file, each);
    if (!writer)
        return writer.error();
    auto made = std::make_unique<impl>(*std::move(writer));
    each.read_only = true;
    for (unsigned i = 0; i < std::clamp(options.readers, 1u, 64u); ++i) {
        auto reader = sqlite::connection::open(file, each);
        if (!reader)
            return reader.error();
        made->idle_readers.push_back(*std::move(reader));
    }
    return std::unique_ptr<database>(new database(std::move(made)));
}

result<rows> database::query(std::string_view sql, const array& parameters) {
    {
        impl::lease reader(*impl_);
        auto prepared = reader->cached(sql);
        if (!prepared)
            return prepared.error();
        if ((*prepared)->only_reads())
            return reader->query(sql, parameters);
    }
    auto lock = impl_->lock_writer();
    return impl_->writer.query(sql, parameters);
}

result<std::int64_t> database::execute(std::string_view sql, const array& parameters) {
    auto lock = impl_->lock_writer();
    return impl_->writer.execute(sql, parameters);
}

result<void> database::ping() {
    auto answer = query("SELECT 1");
    return answer ? result<void>() : answer.error();
}

struct transaction::impl {
    database::impl& owner;
    std::unique_lock<std::mutex> lock;
    bool open = true;

    void end() noexcept {
        open = false;
        owner.writing_thread.store({});
        lock.unlock();
    }
};

result<transaction> database::begin() {
    auto lock = impl_->lock_writer();
    // IMMEDIATE: a transaction that reads first and writes later could otherwise fail in the
    // middle, its snapshot being old.
    if (auto begun = impl_->writer.run("BEGIN IMMEDIATE"); !begun)
        return begun.error();
    impl_->writing_thread.store(std::this_thread::get_id());
    std::unique_ptr<transaction::impl> made(new transaction::impl{*impl_, std::move(lock)});
    return transaction(std::move(made));
}

transaction::transaction(std::unique_ptr<impl> owned) : impl_(std::move(owned)) {}
transaction::transaction(transaction&&) noexcept = default;
transaction::~transaction() { rollback(); }

result<rows> transaction::query(std::string_view sql, const array& parameters) {
    CARILLON_ASSERT(impl_ && impl_->open, "a transaction that has ended is not used");
    return impl_->owner.writer.query(sql, parameters);
}

result<std::int64_t> transaction::execute(std::string_view sql, const array& parameters) {
    CARILLON_ASSERT(impl_ && impl_->open, "a transaction that has ended is not used");
    return impl_->owner.writer.execute(sql, parameters);
}

result<void> transaction::commit() {
    CARILLON_ASSERT(impl_ && impl_->open, "a transaction ends once");
    auto& writer = impl_->owner.writer;
    // SQLite rolls back by itself on a full disk and the like: then there is nothing left to
    // commit.
    if (writer.idle()) {
        impl_->end();
        return failure{errc::unavailable, "the database undid the transaction"};
    }
    auto done = writer.run("COMMIT");
    if (!done)
        rollback();
    else
        impl_->end();
    return done;
}

void transaction::rollback() noexcept {
    if (!impl_ || !impl_->open)
        return;
    auto& writer = impl_->owner.writer;
    if (!writer.idle())
        (void)writer.run("ROLLBACK").has_value();
    impl_->end();
}

} // namespace carillon::db
