// group_commit: the one thread that writes a SQLite file. What many threads ask for at the same time shares one
// transaction.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <carillon/base/log.hpp>
#include <carillon/base/result.hpp>

#include "db/sqlite.hpp"

namespace carillon::jobs {

class group_commit {
public:
    struct operation {
        // Runs on the writer thread inside the transaction. One that fails has changed nothing; unavailable, corrupt
        // and internal mean that the whole transaction failed.
        std::function<result<void>(db::sqlite::connection&)> apply;
        // Called once on the writer thread: after the commit, or with the failure. Must not block. May be empty.
        std::function<void(const result<void>&)> settled;
        // Tried again until the transaction succeeds: for facts that cannot be taken back, such as a job that ended.
        bool until_done = false;
    };

    // Whether an operation with that outcome has to fail the whole transaction.
    static bool spoils_transaction(const result<void>& outcome) noexcept;

    static constexpr std::size_t transaction_operations_max = 1'024;

    // `committed` is called on the writer thread after every transaction.
    group_commit(db::sqlite::connection writer, logger& log, std::function<void()> committed);
    // Writes what was submitted before, then ends.
    ~group_commit();

    // Thread-safe; returns at once.
    void submit(operation wanted);
    // Submits and waits for the outcome. Not on the writer thread.
    result<void> run(std::function<result<void>(db::sqlite::connection&)> apply);
    // Operations not settled yet.
    std::size_t pending() const;

private:
    void write_all();
    void write(std::vector<operation>& batch);
    result<void> attempt(std::vector<operation>& batch, std::vector<result<void>>& outcomes);
    void put_back(std::vector<operation> kept);

    db::sqlite::connection writer_;
    logger& log_;
    std::function<void()> committed_;
    mutable std::mutex guard_;
    std::condition_variable wake_;
    std::vector<operation> waiting_;
    std::size_t under_way_ = 0;
    bool ending_ = false;
    std::thread thread_;
};

} // namespace carillon::jobs
