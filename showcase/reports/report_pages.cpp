#include "reports/report_pages.hpp"

#include <cstdio>
#include <random>

#include <fmt/format.h>

#include "assets.hpp"
#include "reports/report_progress.hpp"
#include "reports/report_work.hpp"
#include <carillon/net/waits.hpp>
#include <carillon/web/assets.hpp>
#include <carillon/wire/json.hpp>

namespace cr = carillon;

namespace showcase::reports {

namespace {

constexpr std::uint64_t upload_bytes_max = 8ull << 30;
constexpr std::size_t settings_bytes_max = 64 * 1024; // of the JSON that starts a demo
constexpr std::size_t filename_chars_max = 200;

std::string random_uuid() {
    std::random_device source;
    const auto bits = [&](int digits) { return source() & ((1u << (digits * 4 - 1)) * 2 - 1); };
    return fmt::format("{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:06x}{:06x}", source(), bits(4), bits(3),
                       8 + bits(1) % 4, bits(3), bits(6), bits(6));
}

// Only the last part of a path, percent-decoded, without control characters.
std::string sound_filename(std::string_view sent) {
    std::string decoded;
    for (std::size_t i = 0; i < sent.size(); ++i) {
        unsigned code = 0;
        if (sent[i] == '%' && i + 2 < sent.size() &&
            std::sscanf(std::string(sent.substr(i + 1, 2)).c_str(), "%2x", &code) == 1) {
            decoded += static_cast<char>(code);
            i += 2;
        } else {
            decoded += sent[i];
        }
    }
    decoded.erase(0, decoded.find_last_of("/\\") + 1);
    std::erase_if(decoded,
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    auto cut = std::min(decoded.size(), filename_chars_max);
    while (cut < decoded.size() && (static_cast<unsigned char>(decoded[cut]) & 0xc0) == 0x80)
        --cut; // not in the middle of a character
    decoded.resize(cut);
    return decoded.empty() ? "upload.csv" : decoded;
}

struct demo_settings {
    std::int64_t steps = 10;
    double step_seconds = 1;
};

demo_settings read_demo(const cr::value& wanted) {
    demo_settings settings;
    if (!wanted.is_object() || wanted["kind"].to_text() != "demo")
        throw cr::error(cr::errc::bad_request,
                        R"(send {"kind": "demo"} as JSON, or a CSV file as text/csv)");
    settings.steps = wanted["steps"].is_null() ? settings.steps : wanted["steps"].to_int(-1);
    settings.step_seconds = wanted["step_seconds"].is_null() ? settings.step_seconds
                                                             : wanted["step_seconds"].to_double(-1);
    if (settings.steps < 1 || settings.steps > 10'000)
        throw cr::error(cr::errc::invalid, "steps must be a whole number from 1 to 10000");
    if (!(settings.step_seconds >= 0 && settings.step_seconds <= 3600))
        throw cr::error(cr::errc::invalid, "step_seconds must be a number from 0 to 3600");
    return settings;
}

class report_pages {
public:
    report_pages(cr::services& shared, report_store& store) : shared_(shared), store_(store) {}

    cr::task<cr::response> start(cr::request& asked) {
        const auto type = asked.content_type();
        if (type == "text/csv" || type == "application/csv")
            return start_csv(asked);
        if (type == "application/json")
            return start_from_json(asked);
        throw cr::error(cr::errc::unsupported_media,
                        "send a CSV file with Content-Type: text/csv, or JSON");
    }

    cr::response start_default_demo(cr::request&) { return enqueue_demo({}); }
    cr::response detail(cr::request& asked) {
        return cr::json_response(store_.get(asked.kwarg("job_id")).shown());
    }
    cr::response list(cr::request& asked);
    cr::response result(cr::request& asked, std::string_view extension, std::string_view type);
    cr::response cancel(cr::request& asked);
    void adopt_orphans();

private:
    cr::task<cr::response> start_csv(cr::request& asked);
    cr::task<cr::response> start_from_json(cr::request& asked);
    cr::response enqueue_demo(demo_settings settings);
    cr::response enqueue(report_job row, const char* task, cr::job_arguments arguments);

    cr::services& shared_;
    report_store& store_;
};

// The body goes to the disk piece by piece: a file of any size costs one piece of memory.
cr::task<cr::response> report_pages::start_csv(cr::request& asked) {
    report_job row;
    row.job_id = random_uuid();
    row.kind = "csv";
    row.filename = sound_filename(asked.header("x-filename"));
    const auto path = store_.upload_path(row.job_id);
    struct unfinished_upload {
        std::filesystem::path path;
        std::unique_ptr<std::FILE, int (*)(std::FILE*)> file;
        ~unfinished_upload() {
            std::error_code ignored; // it became the upload
            std::filesystem::remove(path, ignored);
        }
    };
    unfinished_upload upload{path.string() + ".part", {nullptr, &std::fclose}};
    upload.file.reset(std::fopen(upload.path.c_str(), "wbx"));
    const cr::error disk_full(cr::errc::unavailable,
                              "the file could not be stored; is the disk full?");
    if (!upload.file)
        throw disk_full;
    for (;;) {
        const auto piece = co_await asked.stream->next();
        if (piece.empty())
            break;
        auto writing = cr::blocking(
            [&] { return std::fwrite(piece.data(), 1, piece.size(), upload.file.get()); });
        const auto written = co_await writing;
        if (written != piece.size())
            throw disk_full;
    }
    auto finishing = cr::blocking([&] {
        if (std::fclose(upload.file.release()) != 0)
            throw disk_full;
        std::filesystem::rename(upload.path, path);
        const auto filename = row.filename;
        return enqueue(row, csv_task, cr::object{{"filename", filename}});
    });
    co_return co_await finishing;
}

cr::task<cr::response> report_pages::start_from_json(cr::request& asked) {
    for (;;) {
        const auto piece = co_await asked.stream->next();
        if (piece.empty())
            break;
        asked.body.append(cr::as_text(piece));
        if (asked.body.size() > settings_bytes_max)
            throw cr::error(cr::errc::too_large,
                            "the JSON that starts a report is larger than 64 KiB");
    }
    const auto settings = read_demo(asked.json());
    auto enqueuing = cr::blocking([&] { return enqueue_demo(settings); });
    co_return co_await enqueuing;
}

cr::response report_pages::enqueue_demo(demo_settings settings) {
    report_job row;
    row.job_id = random_uuid();
    row.kind = "demo";
    return enqueue(std::move(row), demo_task,
                   cr::object{{"steps", settings.steps}, {"step_seconds", settings.step_seconds}});
}

cr::response report_pages::enqueue(report_job row, const char* task, cr::job_arguments arguments) {
    const auto id = row.job_id;
    row.created_at = cr::utc_now();
    row.message = "Waiting for a worker";
    store_.add(std::move(row));
    cr::enqueue_options options;
    options.id = id;
    options.group = "report_" + id;
    auto enqueued = shared_.jobs->enqueue(task, std::move(arguments), std::move(options));
    if (!enqueued) {
        store_.remove(id);
        throw cr::error(enqueued.error());
    }
    return cr::json_response(cr::object{{"job_id", id}, {"message", "Report started"}});
}

cr::response report_pages::list(cr::request& asked) {
    if (asked.wants_html())
        return cr::asset_page(showcase::assets(), "/reports/", shared_.config.demo);
    const auto limit = asked.query_int("limit", 20, 1, 200);
    cr::array shown;
    for (const auto& job : store_.newest(static_cast<std::uint64_t>(limit)))
        shown.push_back(job.shown());
    const auto count = shown.size();
    return cr::json_response(cr::object{{"count", count}, {"results", std::move(shown)}})
        .with("Vary", "Accept");
}

cr::response report_pages::result(cr::request& asked, std::string_view extension,
                                  std::string_view type) {
    const auto job = store_.get(asked.kwarg("job_id"));
    if (job.status != "completed")
        throw cr::error(cr::errc::conflict, job.is_finished()
                                                ? "this report has no result: it " + job.status
                                                : "this report is not finished yet");
    const auto path = store_.result_path(job.job_id, extension);
    std::error_code missing;
    const auto size = std::filesystem::file_size(path, missing);
    if (missing)
        throw cr::error(cr::errc::not_found, "this kind of report has no result file");
    cr::response answer;
    answer.file_path = path;
    answer.file_bytes = size;
    answer.with("Content-Type", type);
    answer.with("Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:");
    return answer;
}

// A running job leaves within moments: the answer waits for it, so that it tells the state that holds.
cr::response report_pages::cancel(cr::request& asked) {
    const auto job = store_.get(asked.kwarg("job_id"));
    // The row is asked first: a broker may know nothing of a job that has ended.
    const auto stopped = job.is_finished() ? false : shared_.jobs->cancel(job.job_id);
    if (!stopped)
        throw cr::error(stopped.error());
    if (!*stopped)
        throw cr::error(cr::errc::conflict, "this report is finished: it " + job.status);
    constexpr std::chrono::milliseconds patience{900};
    (void)shared_.jobs->wait(job.job_id, cr::now() + patience);
    return cr::json_response(store_.get(job.job_id).shown());
}

void report_pages::adopt_orphans() {
    if (shared_.config.broker != "embedded:")
        return; // a broker cannot be asked for what waits in it: nothing is known to be lost
    for (const auto& row : store_.unfinished()) {
        const auto job = shared_.jobs->get(row.job_id);
        if (!job || *job)
            continue;
        cr::job_update lost;
        lost.id = row.job_id;
        lost.status = "failed";
        lost.progress = row.progress;
        lost.final = true;
        lost.message = lost.error =
            "The server stopped before this report was queued; start it again.";
        store_.apply(lost);
    }
}

} // namespace

cr::routes urls(cr::services& shared, report_store& store) {
    auto pages = std::make_shared<report_pages>(shared, store);
    pages->adopt_orphans();
    return {
        cr::get("/reports/", cr::on_thread([pages](cr::request& r) { return pages->list(r); })),
        cr::post("/reports/start/", [pages](cr::request& r) { return pages->start(r); })
            .stream_body()
            .max_body(upload_bytes_max),
        cr::get("/reports/start/",
                cr::on_thread([pages](cr::request& r) { return pages->start_default_demo(r); }))
            .changes_state(),
        cr::get("/reports/<uuid:job_id>/",
                cr::on_thread([pages](cr::request& r) { return pages->detail(r); })),
        cr::get("/reports/<uuid:job_id>/result.json", cr::on_thread([pages](cr::request& r) {
                    return pages->result(r, "json", "application/json");
                })),
        cr::get("/reports/<uuid:job_id>/result.html", cr::on_thread([pages](cr::request& r) {
                    return pages->result(r, "html", "text/html; charset=utf-8");
                })),
        cr::post("/reports/<uuid:job_id>/cancel/",
                 cr::on_thread([pages](cr::request& r) { return pages->cancel(r); })),
        cr::websocket<report_progress>("/ws/reports/<str:job_id>/", std::ref(store)),
    };
}

} // namespace showcase::reports
