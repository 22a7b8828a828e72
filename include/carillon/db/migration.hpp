// Migrations: the ordered steps from an empty database to the one this program needs.
//
// What was applied is recorded in `django_migrations`(id, app, name, applied), the table of Django, so that both can
// keep their records in one database.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <carillon/db/database.hpp>
#include <carillon/db/schema.hpp>

namespace carillon::db {

struct migration {
    std::string app;  // `reports`
    std::string name; // `0001_initial`; names of one app are in ascending order
    std::function<result<void>(session&)> apply;
};

// A step of plain SQL, one statement per text.
migration sql_migration(std::string app, std::string name, std::vector<std::string> statements);
// The first step of an app: its tables as their schemas describe them today. Later changes are steps of their own, and
// this step must then be frozen as SQL.
migration create_tables(std::string app, std::string name,
                        std::vector<std::reference_wrapper<const table_schema>> tables);

// Applies what is missing, in the order of the list, each step with its record in one transaction; doing it again does
// nothing. Several processes may try at once: each step happens once. Gives the names `app.name` it applied.
// errc::conflict when the database holds a step of one of these apps that this program does not know: it was made by a
// newer program, which the message says.
result<std::vector<std::string>> migrate(database& on, const std::vector<migration>& steps);
// What migrate() would apply.
result<std::vector<std::string>> pending_migrations(database& on,
                                                    const std::vector<migration>& steps);

} // namespace carillon::db
