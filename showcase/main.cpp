// carillon-showcase: the systems of the showcase in one site.
#include <carillon/app/app.hpp>
#include <carillon/web/assets.hpp>

#include "assets.hpp"
#include "bench/bench.hpp"
#include "bench/bench_jobs.hpp"
#include "reports/report_pages.hpp"
#include "reports/report_work.hpp"

namespace cr = carillon;

namespace {

class showcase_site final : public cr::application {
public:
    std::string name() const override { return "carillon-showcase"; }
    std::string version() const override { return CARILLON_VERSION; }
    std::string description() const override {
        return "The showcase of Carillon: what happens on a server, on every open page at once.";
    }

    std::vector<cr::db::migration> migrations() const override {
        return showcase::reports::report_store::migrations();
    }

    void register_jobs(cr::job_registry& registry, cr::services& shared) override {
        reports_.emplace(shared.database, shared.config.data_dir);
        showcase::reports::register_work(registry, *reports_);
        if (shared.config.bench)
            showcase::bench::register_jobs(registry, shared.config.data_dir);
    }

    void register_schedules(cr::timetable& beat, cr::services& shared) override {
        if (shared.config.bench)
            showcase::bench::register_schedules(beat);
    }

    cr::routes urls(cr::services& shared) override {
        auto table = showcase::reports::urls(shared, *reports_);
        append(table, cr::asset_routes(showcase::assets(), shared.config.demo));
        if (shared.config.bench)
            append(table, showcase::bench::urls(shared.layer));
        return table;
    }

private:
    static void append(cr::routes& table, cr::routes more) {
        for (auto& one : more)
            table.push_back(std::move(one));
    }

    std::optional<showcase::reports::report_store> reports_;
};

} // namespace

int main(int argc, char** argv) {
    showcase_site site;
    return cr::run(site, argc, argv);
}
