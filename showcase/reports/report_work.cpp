#include "reports/report_work.hpp"

#include <fstream>

#include <fmt/format.h>

#include "reports/csv_profiler.hpp"
#include <carillon/wire/json.hpp>

namespace cr = carillon;

namespace showcase::reports {

namespace {

constexpr std::size_t piece_bytes = 1 << 20; // of the file, between two looks at the context

// Step by step, as the seed's task: it stands for any work that takes minutes.
cr::value generate_report(cr::job_context& context, const cr::job_arguments& arguments) {
    const auto steps = arguments["steps"].to_int(10);
    const std::chrono::duration<double> step(arguments["step_seconds"].to_double(1));
    for (std::int64_t i = 1; i <= steps; ++i) {
        if (!context.wait_for(std::chrono::duration_cast<std::chrono::milliseconds>(step)))
            context.throw_if_cancelled();
        const auto percent = static_cast<int>(i * 100 / steps);
        context.progress(percent, fmt::format("{}% complete", percent));
    }
    context.progress(100, "Report completed");
    return cr::object{{"status", "ok"}};
}

// Whole or not at all: a reader never sees half a result.
void write_whole(const std::filesystem::path& path, const std::string& content) {
    auto unfinished = path;
    unfinished += ".part";
    std::ofstream out(unfinished, std::ios::binary);
    out << content;
    out.close();
    if (!out)
        throw cr::error(cr::errc::unavailable,
                        "the result could not be written; is the disk full?");
    std::filesystem::rename(unfinished, path);
}

csv_report profile(cr::job_context& context, const std::filesystem::path& path,
                   const std::string& filename) {
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw cr::error(cr::errc::not_found, "the uploaded file is not there any more");
    const auto total_bytes = std::filesystem::file_size(path);
    csv_profiler profiler(filename);
    cr::bytes piece(piece_bytes);
    std::uint64_t done_bytes = 0;
    while (file) {
        context.throw_if_cancelled();
        file.read(reinterpret_cast<char*>(piece.data()),
                  static_cast<std::streamsize>(piece.size()));
        const auto got = static_cast<std::size_t>(file.gcount());
        profiler.feed(cr::bytes_view(piece).first(got)).value();
        done_bytes += got;
        const auto percent = total_bytes ? static_cast<int>(done_bytes * 100 / total_bytes) : 100;
        context.progress(std::min(percent, 99), fmt::format("{} rows read", profiler.rows()));
    }
    return profiler.finish().value();
}

cr::value profile_csv(cr::job_context& context, const cr::job_arguments& arguments,
                      report_store& store) {
    const std::string filename(arguments["filename"].to_text());
    const auto report = profile(context, store.upload_path(context.id()), filename);
    write_whole(store.result_path(context.id(), "json"), cr::to_json(to_value(report)));
    write_whole(store.result_path(context.id(), "html"), to_html(report));
    context.progress(100, "Report completed");
    return cr::object{{"rows", report.rows}, {"columns", report.columns.size()}};
}

} // namespace

void register_work(cr::job_registry& registry, report_store& store) {
    cr::job_options options;
    options.observer = [&store](const cr::job_update& news) { store.apply(news); };
    registry.add(demo_task, generate_report, options);
    registry.add(
        csv_task,
        [&store](cr::job_context& context, const cr::job_arguments& arguments) {
            return profile_csv(context, arguments, store);
        },
        options);
}

} // namespace showcase::reports
