#include <carillon/db/migration.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <carillon/base/clock.hpp>

namespace carillon::db {

namespace {

constexpr std::string_view record_table =
    "CREATE TABLE IF NOT EXISTS \"django_migrations\" (\"id\" integer NOT NULL PRIMARY KEY "
    "AUTOINCREMENT, "
    "\"app\" varchar(255) NOT NULL, \"name\" varchar(255) NOT NULL, \"applied\" datetime NOT NULL)";

result<bool> is_applied(session& on, const migration& step) {
    auto found = on.query("SELECT 1 FROM \"django_migrations\" WHERE app = ? AND name = ?",
                          {step.app, step.name});
    if (!found)
        return found.error();
    return !found->empty();
}

// A step of one of our apps that we do not know was applied by a newer program.
result<void> refuse_newer(session& on, const std::vector<migration>& steps) {
    auto applied = on.query("SELECT app, name FROM \"django_migrations\" ORDER BY id");
    if (!applied)
        return applied.error();
    for (const auto& known : *applied) {
        const auto app = known.at(0).to_text(), name = known.at(1).to_text();
        const bool ours = std::ranges::any_of(steps, [&](auto& s) { return s.app == app; });
        const bool known_here =
            std::ranges::any_of(steps, [&](auto& s) { return s.app == app && s.name == name; });
        if (ours && !known_here)
            return failure{
                errc::conflict,
                fmt::format(
                    "the database was made by a newer version: it holds the migration {}.{}, "
                    "which this program does not know",
                    app, name)};
    }
    return {};
}

// True when this call applied the step; another process may have been quicker.
result<bool> apply_step(database& on, const migration& step) {
    auto begun = on.begin();
    if (!begun)
        return begun.error();
    auto done = is_applied(*begun, step);
    if (!done)
        return done.error();
    if (*done)
        return false;
    if (auto applied = step.apply(*begun); !applied)
        return failure{applied.error().code, fmt::format("migration {}.{}: {}", step.app, step.name,
                                                         applied.error().message)};
    auto recorded =
        begun->execute("INSERT INTO \"django_migrations\" (app, name, applied) VALUES (?, ?, ?)",
                       {step.app, step.name, detail::store_time(utc_now())});
    if (!recorded)
        return recorded.error();
    if (auto committed = begun->commit(); !committed)
        return committed.error();
    return true;
}

} // namespace

migration sql_migration(std::string app, std::string name, std::vector<std::string> statements) {
    auto run = [statements = std::move(statements)](session& on) -> result<void> {
        for (const auto& sql : statements)
            if (auto done = on.execute(sql); !done)
                return done.error();
        return {};
    };
    return {std::move(app), std::move(name), std::move(run)};
}

migration create_tables(std::string app, std::string name,
                        std::vector<std::reference_wrapper<const table_schema>> tables) {
    std::vector<std::string> statements;
    for (const table_schema& table : tables)
        std::ranges::move(table.create_sql(), std::back_inserter(statements));
    return sql_migration(std::move(app), std::move(name), std::move(statements));
}

result<std::vector<std::string>> pending_migrations(database& on,
                                                    const std::vector<migration>& steps) {
    if (auto made = on.execute(record_table); !made)
        return made.error();
    if (auto known = refuse_newer(on, steps); !known)
        return known.error();
    std::vector<std::string> missing;
    for (const auto& step : steps) {
        auto done = is_applied(on, step);
        if (!done)
            return done.error();
        if (!*done)
            missing.push_back(fmt::format("{}.{}", step.app, step.name));
    }
    return missing;
}

result<std::vector<std::string>> migrate(database& on, const std::vector<migration>& steps) {
    auto missing = pending_migrations(on, steps);
    if (!missing)
        return missing.error();
    std::vector<std::string> applied;
    for (const auto& step : steps) {
        auto name = fmt::format("{}.{}", step.app, step.name);
        if (std::ranges::find(*missing, name) == missing->end())
            continue;
        auto done = apply_step(on, step);
        if (!done)
            return done.error();
        if (*done)
            applied.push_back(std::move(name));
    }
    return applied;
}

} // namespace carillon::db
