// The reports that were asked for: one row each, and their files in the data folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/db/migration.hpp>
#include <carillon/db/objects.hpp>
#include <carillon/jobs/job.hpp>

namespace showcase::reports {

// The row. `status` is started, in_progress, completed, failed or cancelled.
struct report_job {
    std::string job_id; // a UUID, also the id of the background job
    std::string kind;   // "csv" or "demo"
    std::string filename;
    std::string status = "started";
    int progress = 0; // per cent
    int attempt = 1;
    std::string message;
    carillon::utc_time created_at{};
    std::optional<carillon::utc_time> finished_at;
    std::optional<std::string> error;

    static const carillon::db::table<report_job>& schema();
    bool is_finished() const noexcept {
        return status == "completed" || status == "failed" || status == "cancelled";
    }
    // The object of GET /reports/<job_id>/.
    carillon::value shown() const;
};

// All calls block: for pool and worker threads. They throw carillon::error. Thread-safe.
class report_store {
public:
    report_store(carillon::db::database& database, std::filesystem::path data_dir);

    static std::vector<carillon::db::migration> migrations();

    void add(report_job job);
    std::optional<report_job> find(const std::string& job_id);
    // Throws not_found.
    report_job get(const std::string& job_id);
    // Newest first.
    std::vector<report_job> newest(std::uint64_t limit);
    std::vector<report_job> unfinished();
    void remove(const std::string& job_id);
    // What a job tells of itself becomes the row's state. A finished one gives its upload back.
    void apply(const carillon::job_update& news);

    std::filesystem::path upload_path(std::string_view job_id) const;
    std::filesystem::path result_path(std::string_view job_id, std::string_view extension) const;

private:
    carillon::db::database& database_;
    std::filesystem::path uploads_, results_;
};

} // namespace showcase::reports
