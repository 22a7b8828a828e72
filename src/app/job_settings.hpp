// What the settings of jobs mean: where the queue is, where results go, and which of both fit together.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "jobs/beat/slot_store.hpp"
#include "jobs/control/controller.hpp"
#include <carillon/app/settings.hpp>
#include <carillon/base/result.hpp>
#include <carillon/jobs/queue.hpp>

namespace carillon::app {

// redis://, rediss://, unix:// and their kin.
bool is_redis_url(std::string_view url) noexcept;
// False: the queue is in the data folder.
bool jobs_on_broker(const settings& config) noexcept;
// One entry of queue-limits, QUEUE=NUMBER: how many jobs of a queue may run at once.
result<std::pair<std::string, std::uint32_t>> queue_limit_of(std::string_view text);

job_queue_options queue_options(const settings& config);

// The result backend of a broker when nobody chose one.
std::string usual_result_backend(const settings& config);
// Where beats agree on what each serves when nobody chose a place: Redis where jobs or results are there, else a file.
std::string usual_beat_store(const settings& config);
// errc::invalid says which result backend to choose instead.
result<void> check_job_settings(const settings& config);

// The addresses without their secrets.
std::string shown_broker(const settings& config);
std::string shown_results(const settings& config);
std::string shown_beat_store(const settings& config);

// Redis does not have to be there yet. errc::unavailable for a file that cannot be opened.
result<std::unique_ptr<jobs::slot_store>> open_beat_store(const settings& config);

// The broker of the settings for somebody who asks its workers; waits until it is there. `log` and `counters` outlive
// it. errc::unavailable.
result<std::unique_ptr<jobs::control_console>>
open_console(const settings& config, logger& log, metrics& counters,
             std::chrono::milliseconds connect_patience);

} // namespace carillon::app
