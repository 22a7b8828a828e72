#include "reports/report_store.hpp"

#include <carillon/base/error.hpp>

namespace cr = carillon;

namespace showcase::reports {

const cr::db::table<report_job>& report_job::schema() {
    using job = report_job;
    static const auto made =
        cr::db::table<job>("reports_reportjob")
            .column("job_id", &job::job_id, cr::db::primary_key, cr::db::max_chars(36))
            .column("kind", &job::kind, cr::db::max_chars(10))
            .column("filename", &job::filename, cr::db::max_chars(255))
            .column("status", &job::status, cr::db::max_chars(20), cr::db::indexed)
            .column("progress", &job::progress)
            .column("attempt", &job::attempt)
            .column("message", &job::message)
            .column("created_at", &job::created_at, cr::db::indexed)
            .column("finished_at", &job::finished_at)
            .column("error", &job::error);
    return made;
}

cr::value report_job::shown() const {
    auto members = schema().to_object(this);
    members.erase("attempt");
    return members;
}

report_store::report_store(cr::db::database& database, std::filesystem::path data_dir)
    : database_(database), uploads_(data_dir / "uploads"), results_(data_dir / "results") {
    std::filesystem::create_directories(uploads_);
    std::filesystem::create_directories(results_);
}

std::vector<cr::db::migration> report_store::migrations() {
    return {cr::db::create_tables("reports", "0001_initial", {report_job::schema()})};
}

void report_store::add(report_job job) {
    cr::db::objects<report_job>(database_).insert(job).value();
}

std::optional<report_job> report_store::find(const std::string& job_id) {
    return cr::db::objects<report_job>(database_).get(job_id).value();
}

report_job report_store::get(const std::string& job_id) {
    auto found = find(job_id);
    if (!found)
        throw cr::error(cr::errc::not_found, "there is no report with this id");
    return *std::move(found);
}

std::vector<report_job> report_store::newest(std::uint64_t limit) {
    return cr::db::objects<report_job>(database_)
        .all()
        .order_by("-created_at")
        .limit(limit)
        .all()
        .value();
}

std::vector<report_job> report_store::unfinished() {
    return cr::db::objects<report_job>(database_).where("finished_at", nullptr).all().value();
}

void report_store::remove(const std::string& job_id) {
    (void)cr::db::objects<report_job>(database_).remove(job_id).value();
    std::error_code ignored; // there may be no upload
    std::filesystem::remove(upload_path(job_id), ignored);
}

void report_store::apply(const cr::job_update& news) {
    report_job row;
    row.job_id = news.id;
    row.status = news.status;
    row.progress = news.progress;
    row.attempt = static_cast<int>(news.attempt);
    row.message = news.status == "completed" ? "Report completed" : news.message;
    const cr::db::objects<report_job> jobs(database_);
    if (!news.final) {
        (void)jobs.update(row, {"status", "progress", "attempt", "message"}).value();
        return;
    }
    row.finished_at = cr::utc_now();
    if (!news.error.empty())
        row.error = news.error;
    (void)jobs.update(row, {"status", "progress", "attempt", "message", "finished_at", "error"})
        .value();
    std::error_code ignored; // a demo has no upload
    std::filesystem::remove(upload_path(news.id), ignored);
}

std::filesystem::path report_store::upload_path(std::string_view job_id) const {
    return uploads_ / (std::string(job_id) + ".csv");
}

std::filesystem::path report_store::result_path(std::string_view job_id,
                                                std::string_view extension) const {
    return results_ / (std::string(job_id) + "." + std::string(extension));
}

} // namespace showcase::reports
