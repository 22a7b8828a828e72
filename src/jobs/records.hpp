// Rows of queue.db as the records that users see.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <carillon/base/result.hpp>
#include <carillon/jobs/job.hpp>

#include "db/sqlite.hpp"
#include "jobs/embedded_store.hpp"

namespace carillon::jobs {

// The SELECT, up to FROM, whose rows record_of() reads.
extern const std::string_view select_record;
job_record record_of(const db::row& row);
worker_row worker_of(const db::row& row);

result<std::optional<job_record>> find_record(db::sqlite::connection& on, std::string_view id);

} // namespace carillon::jobs
