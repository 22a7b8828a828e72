#include "app/runtime.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/job_settings.hpp"
#include "app/spd_log.hpp"

namespace carillon::app {

std::unique_ptr<logger> log_for(const settings& config) {
    const bool terminal = ::isatty(STDERR_FILENO) == 1;
    const auto format =
        config.log_format.empty() ? (terminal ? "pretty" : "json") : config.log_format;
    return make_log(format, config.level);
}

result<void> prepare_data_dir(const std::filesystem::path& data_dir) {
    std::error_code problem;
    if (std::filesystem::is_directory(data_dir, problem))
        return {};
    std::filesystem::create_directories(data_dir, problem);
    if (problem)
        return failure{
            errc::unavailable,
            fmt::format("the data folder {} cannot be made: {}; choose another with --data-dir",
                        data_dir.string(), problem.message())};
    ::chmod(data_dir.c_str(), 0700);
    return {};
}

result<std::unique_ptr<db::database>> open_database(application& site, const settings& config,
                                                    logger& log) {
    auto opened = db::database::open(config.database_url());
    if (!opened)
        return opened.error();
    const auto applied = db::migrate(**opened, site.migrations());
    if (!applied)
        return applied.error();
    for (const auto& step : *applied)
        log.info("migration applied", {{"step", step}});
    return *std::move(opened);
}

result<std::unique_ptr<runtime>> runtime::start(application& site, const settings& config,
                                                logger& log, metrics& counters,
                                                channel_layer* layer) {
    if (auto made = prepare_data_dir(config.data_dir); !made)
        return made.error();
    auto parts = std::make_unique<runtime>();
    auto database = open_database(site, config, log);
    if (!database)
        return database.error();
    parts->database_ = *std::move(database);
    if (!layer) {
        auto sending = sending_layer::start(config, log, counters);
        if (!sending)
            return sending.error();
        parts->sending_ = *std::move(sending);
        layer = &parts->sending_->layer();
    }
    parts->shared_.emplace(services{config, log, counters, *parts->database_, *layer, nullptr});
    site.register_jobs(parts->registry_, *parts->shared_);
    auto queue = job_queue::open(queue_options(config), {parts->registry_, layer, &log, &counters});
    if (!queue)
        return queue.error();
    parts->jobs_ = *std::move(queue);
    parts->shared_->jobs = parts->jobs_.get();
    return parts;
}

bool runtime::flush_events(std::chrono::seconds patience) {
    return !sending_ || sending_->flush(patience);
}

} // namespace carillon::app
