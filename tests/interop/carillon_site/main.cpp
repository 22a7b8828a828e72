// carillon-interop: the same paths, groups and frames as the Django site beside it, for tests/interop.
#include <carillon/app/app.hpp>

#include "interop/carillon_site/consumers.hpp"
#include "interop/carillon_site/control.hpp"
#include "interop/carillon_site/jobs.hpp"
#include "interop/carillon_site/probes.hpp"
#include "interop/carillon_site/vector_jobs.hpp"

namespace cr = carillon;

namespace {

class interop_site final : public cr::application {
public:
    std::string name() const override { return "carillon-interop"; }
    std::string version() const override { return "1.0"; }
    std::string description() const override {
        return "The counterpart of a Django site, for tests on one channel layer.";
    }

    void register_jobs(cr::job_registry& registry, cr::services&) override {
        interop::register_vector_jobs(registry);
    }

    cr::background_routes background(cr::services&) override { return interop::job_routes(); }

    cr::routes urls(cr::services& shared) override {
        auto table = interop::consumer_routes(shared.layer);
        append(table, interop::probe_routes(heard_));
        append(table, interop::control_routes(shared.layer));
        return table;
    }

private:
    static void append(cr::routes& table, cr::routes more) {
        for (auto& one : more)
            table.push_back(std::move(one));
    }

    interop::heard heard_;
};

} // namespace

int main(int argc, char** argv) {
    interop_site site;
    return cr::run(site, argc, argv);
}
