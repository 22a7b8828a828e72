#include "app/commands.hpp"

#include <cstdio>

#include <fmt/format.h>

#include "app/runtime.hpp"

namespace carillon::app {

int fail(const failure& why) {
    fmt::print(stderr, "error: {}\n", why.message);
    return 1;
}

int migrate(application& site, const settings& config) {
    if (auto made = prepare_data_dir(config.data_dir); !made)
        return fail(made.error());
    auto opened = db::database::open(config.database_url());
    if (!opened)
        return fail(opened.error());
    const auto applied = db::migrate(**opened, site.migrations());
    if (!applied)
        return fail(applied.error());
    for (const auto& step : *applied)
        fmt::print("applied {}\n", step);
    if (applied->empty())
        fmt::print("the database is up to date\n");
    return 0;
}

} // namespace carillon::app
