// runtime: the parts that the commands share, made from the settings in the right order and ended in the reverse one.
#pragma once

#include <memory>
#include <optional>

#include "app/options.hpp"
#include "app/sending_layer.hpp"
#include "channels/file_lock.hpp"
#include <carillon/app/app.hpp>

namespace carillon::app {

// Standard error as the settings want it.
std::unique_ptr<logger> log_for(const settings& config);

// The data folder, made with mode 0700 when it is not there.
result<void> prepare_data_dir(const std::filesystem::path& data_dir);

// Opens the database and brings it up to date.
result<std::unique_ptr<db::database>> open_database(application& site, const settings& config,
                                                    logger& log);

// Database, jobs and, for programs that are not the server, their channel layer.
class runtime {
public:
    // `layer` is the server's own; null for the others, which get a sending_layer.
    static result<std::unique_ptr<runtime>> start(application& site, const settings& config,
                                                  logger& log, metrics& counters,
                                                  channel_layer* layer);
    services& shared() noexcept { return *shared_; }
    job_queue& jobs() noexcept { return *jobs_; }
    // Waits until what was sent to groups has left this process. False when it could not.
    bool flush_events(std::chrono::seconds patience);

private:
    std::unique_ptr<db::database> database_;
    std::unique_ptr<sending_layer> sending_;
    std::optional<services> shared_;
    job_registry registry_;
    std::unique_ptr<job_queue> jobs_;
};

} // namespace carillon::app
