// The reading part of embedded_store, its opening and its watch for changes of other processes.
#include <algorithm>

#include <fmt/format.h>

#include "base/uuid.hpp"
#include "jobs/embedded_store.hpp"
#include "jobs/records.hpp"
#include "jobs/worker_name.hpp"

namespace carillon::jobs {

namespace {

constexpr std::chrono::seconds purge_interval{60};
constexpr std::chrono::seconds depth_interval{1};

result<void> make_private_folder(const std::filesystem::path& folder) {
    std::error_code failed;
    if (std::filesystem::create_directories(folder, failed))
        std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
    if (failed)
        return failure{errc::unavailable, fmt::format("cannot create the folder {}: {}",
                                                      folder.string(), failed.message())};
    return {};
}

} // namespace

result<std::shared_ptr<embedded_store>>
embedded_store::open(const job_queue_options& options, const job_registry& registry, logger& log) {
    for (const auto& folder : {options.data_dir, options.data_dir / "workers"})
        if (auto made = make_private_folder(folder); !made)
            return made.error();
    const auto file = options.data_dir / "queue.db";
    db::sqlite::connection_options each;
    each.sync = db::sqlite::durability::full;
    auto writer = db::sqlite::connection::open(file, each);
    if (!writer)
        return writer.error();
    if (auto prepared = prepare_schema(*writer); !prepared)
        return prepared.error();
    each.read_only = true;
    auto reader = db::sqlite::connection::open(file, each);
    auto watcher = db::sqlite::connection::open(file, each);
    if (!reader || !watcher)
        return reader ? watcher.error() : reader.error();
    return std::shared_ptr<embedded_store>(new embedded_store(
        options, registry, log, *std::move(writer), *std::move(reader), *std::move(watcher)));
}

embedded_store::embedded_store(job_queue_options options, const job_registry& registry, logger& log,
                               db::sqlite::connection writer, db::sqlite::connection reader,
                               db::sqlite::connection watcher)
    : options_(std::move(options)), log_(log),
      workflow_(setting_of(registry, log, options_.message_bytes_max)), reader_(std::move(reader)),
      watcher_(std::move(watcher)),
      writer_(std::make_unique<group_commit>(std::move(writer), log, [this] { changed(); })),
      watching_([this] { watch(); }) {}

// What every new message of a workflow says of its sender, and where it goes.
embedded_workflow::setting embedded_store::setting_of(const job_registry& registry, logger& log,
                                                      std::size_t message_bytes_max) {
    embedded_workflow::setting with;
    with.sending = [origin = origin_name()] {
        wire::celery::sending s;
        s.when = utc_now();
        s.new_id = make_uuid;
        s.origin = origin;
        return s;
    };
    with.route = [&registry](const wire::celery::outgoing& o) {
        if (!o.queue.empty())
            return o.queue;
        const auto* entry = registry.find(o.what.task);
        return entry ? entry->options.queue : job_options().queue;
    };
    with.limit = [&registry](const wire::celery::message& m) { return limit_of(m, registry); };
    with.message_bytes_max = message_bytes_max;
    with.log = &log;
    return with;
}

embedded_store::~embedded_store() {
    {
        std::lock_guard lock(changes_guard_);
        closing_ = true;
    }
    changes_.notify_all();
    watching_.join();
    writer_.reset();
}

result<db::rows> embedded_store::read(std::string_view sql, const array& parameters) {
    std::lock_guard lock(reader_guard_);
    return reader_.query(sql, parameters);
}

result<std::optional<job_record>> embedded_store::get(std::string_view id) {
    std::lock_guard lock(reader_guard_);
    return find_record(reader_, id);
}

result<job_record> embedded_store::wait(std::string_view id, steady_time deadline) {
    for (;;) {
        const auto seen = epoch();
        auto found = get(id);
        if (!found)
            return found.error();
        if (!*found)
            return failure{errc::not_found, fmt::format("there is no job {}", id.substr(0, 255))};
        if (is_final((*found)->state))
            return **std::move(found);
        if (now() >= deadline)
            return failure{errc::timed_out, "the job is not finished yet"};
        wait_for_change(seen, deadline);
    }
}

result<std::vector<job_record>> embedded_store::list(const job_filter& filter) {
    std::string sql(select_record);
    sql += " WHERE 1 = 1";
    array parameters;
    if (filter.state) {
        static constexpr std::string_view rows_of[] = {"-2, -1, 0, 1, 3", "2", "4", "5", "6"};
        sql += fmt::format(" AND state IN ({})", rows_of[static_cast<std::size_t>(*filter.state)]);
    }
    if (!filter.task.empty()) {
        sql += " AND task = ?";
        parameters.emplace_back(filter.task);
    }
    if (!filter.queue.empty()) {
        sql += " AND queue = ?";
        parameters.emplace_back(filter.queue);
    }
    sql += " ORDER BY seq DESC LIMIT ? OFFSET ?";
    parameters.emplace_back(filter.limit);
    parameters.emplace_back(filter.offset);
    auto found = read(sql, parameters);
    if (!found)
        return found.error();
    std::vector<job_record> records;
    for (const auto& each : *found)
        records.push_back(record_of(each));
    return records;
}

result<std::vector<queue_info>> embedded_store::queues() {
    auto found = read("SELECT queue, state, COUNT(*) FROM jobs WHERE state != -1 "
                      "GROUP BY queue, state ORDER BY queue");
    if (!found)
        return found.error();
    std::vector<queue_info> queues;
    for (const auto& each : *found) {
        if (queues.empty() || queues.back().name != each.at(0).to_text())
            queues.emplace_back().name = each.at(0).to_text();
        auto& q = queues.back();
        std::uint64_t* counts[] = {&q.waiting,   &q.delayed, &q.running,  &q.waiting,
                                   &q.completed, &q.failed,  &q.cancelled};
        // Those that wait for a place wait as others do.
        const auto state = static_cast<std::size_t>(std::max<std::int64_t>(0, each.at(1).to_int()));
        if (state < std::size(counts))
            *counts[state] += static_cast<std::uint64_t>(each.at(2).to_int());
    }
    return queues;
}

result<bool> embedded_store::has_ready(std::span<const std::string> queues) {
    for (const auto& queue : queues) {
        if (!options_.queue_limits.empty()) {
            std::lock_guard lock(reader_guard_);
            auto room = room_of(reader_, queue);
            if (!room)
                return room.error();
            if (*room == 0)
                continue;
        }
        auto found = read("SELECT 1 FROM jobs WHERE queue = ? AND state = 0 LIMIT 1", {queue});
        if (!found)
            return found.error();
        if (!found->empty())
            return true;
    }
    return false;
}

result<std::optional<utc_time>> embedded_store::next_eta() {
    auto found = read("SELECT MIN(eta) FROM jobs WHERE state = 1");
    if (!found)
        return found.error();
    const auto& first = found->front().at(0);
    return first.is_null() ? std::optional<utc_time>() : from_micros(first.to_int());
}

result<std::vector<std::int64_t>> embedded_store::cancelled_of(std::int64_t owner) {
    auto found =
        read("SELECT seq FROM jobs WHERE owner = ? AND state IN (2, 3) AND cancel = 1", {owner});
    if (!found)
        return found.error();
    std::vector<std::int64_t> marked;
    for (const auto& each : *found)
        marked.push_back(each.at(0).to_int());
    return marked;
}

embedded_store::depth embedded_store::unfinished() const {
    std::lock_guard lock(changes_guard_);
    return depth_;
}

void embedded_store::measure_depth() {
    auto found =
        watcher_.query("SELECT (SELECT COUNT(*) FROM jobs WHERE state = 0), "
                       "(SELECT COUNT(*) FROM jobs WHERE state = 1), "
                       "(SELECT COUNT(*) FROM jobs WHERE state IN (2, 3)), "
                       "(SELECT COUNT(*) FROM jobs WHERE limit_key IS NOT NULL AND state < 4 "
                       "AND state = -2)",
                       {});
    if (!found)
        return;
    const auto& counts = found->front();
    std::lock_guard lock(changes_guard_);
    depth_ = {counts.at(0).to_int(), counts.at(1).to_int(), counts.at(2).to_int(),
              counts.at(3).to_int()};
}

result<void> embedded_store::ping() {
    auto answer = read("SELECT 1 FROM jobs LIMIT 1");
    return answer ? result<void>() : answer.error();
}

std::uint64_t embedded_store::subscribe(listener heard) {
    std::lock_guard lock(changes_guard_);
    listeners_.emplace_back(++subscriptions_, std::move(heard));
    return subscriptions_;
}

void embedded_store::unsubscribe(std::uint64_t subscription) {
    // Listeners run under this lock: once it is held here, none of them runs any more.
    std::lock_guard lock(changes_guard_);
    std::erase_if(listeners_, [&](const auto& each) { return each.first == subscription; });
}

std::uint64_t embedded_store::epoch() const {
    std::lock_guard lock(changes_guard_);
    return epoch_;
}

void embedded_store::wait_for_change(std::uint64_t seen, steady_time deadline) {
    std::unique_lock lock(changes_guard_);
    changes_.wait_until(lock, deadline, [&] { return closing_ || epoch_ != seen; });
}

void embedded_store::changed() {
    {
        std::lock_guard lock(changes_guard_);
        ++epoch_;
        for (const auto& each : listeners_)
            each.second();
    }
    changes_.notify_all();
}

void embedded_store::watch() {
    std::int64_t version = 0;
    auto purged = now(), measured = now() - depth_interval;
    bool moved = true;
    for (;;) {
        {
            std::unique_lock lock(changes_guard_);
            if (changes_.wait_for(lock, options_.poll_interval, [&] { return closing_; }))
                return;
        }
        auto answer = watcher_.query("PRAGMA data_version", {});
        if (answer && answer->front().at(0).to_int() != version) {
            version = answer->front().at(0).to_int();
            changed();
            moved = true;
        }
        if (moved && now() - measured >= depth_interval) {
            moved = false;
            measured = now();
            measure_depth();
        }
        if (now() - purged >= purge_interval) {
            auto removed = purge(utc_now() - options_.keep_finished);
            // A full batch means that there is more: the next one follows with the next tick.
            if (!removed || *removed < purge_rows_max)
                purged = now();
            if (!removed)
                log_.warning("finished jobs could not be removed",
                             {{"error", removed.error().message}});
        }
    }
}

} // namespace carillon::jobs
