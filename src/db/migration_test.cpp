#include <carillon/db/migration.hpp>

#include <thread>

#include <doctest/doctest.h>

#include "db/test_folder.hpp"

namespace carillon::db {

namespace {

using names = std::vector<std::string>;

std::vector<migration> two_steps() {
    return {sql_migration("shop", "0001_initial", {"CREATE TABLE shop_book (id integer)"}),
            sql_migration("shop", "0002_title", {"ALTER TABLE shop_book ADD COLUMN title text"})};
}

} // namespace

TEST_CASE("migrations are applied in order, once, and recorded as Django records them") {
    testing::folder data;
    auto database = database::open(data.url()).value();
    CHECK(pending_migrations(*database, two_steps()).value() ==
          names{"shop.0001_initial", "shop.0002_title"});
    CHECK(migrate(*database, two_steps()).value() == names{"shop.0001_initial", "shop.0002_title"});
    CHECK(migrate(*database, two_steps()).value().empty());
    const auto recorded =
        database->query("SELECT app, name, applied FROM django_migrations ORDER BY id").value();
    REQUIRE(recorded.size() == 2);
    CHECK(recorded[1]["name"] == value("0002_title"));
    CHECK(detail::load_time(recorded[1]["applied"]).has_value());
    CHECK(database->execute("INSERT INTO shop_book VALUES (1, 'Emma')").value() == 1);
}

TEST_CASE("a database of a newer program is refused, one with other apps is not") {
    testing::folder data;
    auto database = database::open(data.url()).value();
    migrate(*database, two_steps()).value();
    database
        ->execute("INSERT INTO django_migrations (app, name, applied) VALUES ('auth', "
                  "'0001_initial', '')")
        .value();
    CHECK(migrate(*database, two_steps()));
    auto older = two_steps();
    older.pop_back();
    const auto refused = migrate(*database, older);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::conflict);
    CHECK(refused.error().message.find("shop.0002_title") != std::string::npos);
}

TEST_CASE("a step that fails leaves nothing of itself") {
    testing::folder data;
    auto database = database::open(data.url()).value();
    std::vector<migration> broken{sql_migration(
        "shop", "0001_initial", {"CREATE TABLE shop_book (id integer)", "CREATE TABEL x"})};
    const auto failed = migrate(*database, broken);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message.starts_with("migration shop.0001_initial: "));
    CHECK(migrate(*database, two_steps()).value().size() == 2);
}

TEST_CASE("several openers at once apply each step once") {
    testing::folder data;
    constexpr int openers = 4;
    std::vector<std::size_t> applied(openers);
    std::vector<std::thread> threads;
    for (int i = 0; i < openers; ++i)
        threads.emplace_back([&, i] {
            auto database = database::open(data.url()).value();
            applied[static_cast<std::size_t>(i)] = migrate(*database, two_steps()).value().size();
        });
    for (auto& each : threads)
        each.join();
    CHECK(applied[0] + applied[1] + applied[2] + applied[3] == 2);
}

} // namespace carillon::db
