#include <carillon/db/objects.hpp>

#include <doctest/doctest.h>

#include <carillon/db/migration.hpp>
#include <carillon/wire/json.hpp>

#include "db/test_folder.hpp"

namespace carillon::db {

namespace {

struct book {
    std::int64_t id = 0;
    std::string title;
    int pages = 0;
    bool lent = false;
    double weight_kg = 0;
    std::optional<utc_time> returned_at;
    utc_time added_at{};
    value extra;

    static const db::table<book>& schema() {
        static const auto made = db::table<book>("shop_book")
                                     .column("id", &book::id, db::primary_key)
                                     .column("title", &book::title, db::max_chars(10), db::unique)
                                     .column("pages", &book::pages, db::indexed, db::default_to(0))
                                     .column("lent", &book::lent)
                                     .column("weight_kg", &book::weight_kg)
                                     .column("returned_at", &book::returned_at)
                                     .column("added_at", &book::added_at)
                                     .column("extra", &book::extra);
        return made;
    }
};

struct shop {
    shop() : database(database::open(data.url()).value()) {
        migrate(*database, {create_tables("shop", "0001_initial", {book::schema()})}).value();
    }
    testing::folder data;
    std::unique_ptr<db::database> database;
};

book make_book(std::string title, int pages) {
    book made;
    made.title = std::move(title);
    made.pages = pages;
    made.added_at = *from_iso8601("2026-02-03T14:30:00.123456Z");
    made.extra = object{{"tags", array{"a", 1}}};
    return made;
}

std::vector<std::string> titles(const std::vector<book>& books) {
    std::vector<std::string> all;
    for (const auto& each : books)
        all.push_back(each.title);
    return all;
}

} // namespace

TEST_CASE("the schema gives the table and its indexes") {
    const auto sql = book::schema().create_sql();
    REQUIRE(sql.size() == 2);
    CHECK(sql[0] ==
          "CREATE TABLE \"shop_book\" (\"id\" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "
          "\"title\" varchar(10) NOT NULL UNIQUE, \"pages\" integer NOT NULL DEFAULT 0, "
          "\"lent\" bool NOT NULL, \"weight_kg\" real NOT NULL, \"returned_at\" datetime, "
          "\"added_at\" datetime NOT NULL, \"extra\" text NOT NULL)");
    CHECK(sql[1] == "CREATE INDEX \"shop_book_pages_idx\" ON \"shop_book\" (\"pages\")");
}

TEST_CASE("a row comes back as it was inserted, with the key the database chose") {
    shop s;
    objects<book> books(*s.database);
    auto first = make_book("Emma", 474);
    first.lent = true;
    first.weight_kg = 0.25;
    books.insert(first).value();
    CHECK(first.id == 1);
    const auto found = books.get(first.id).value();
    REQUIRE(found);
    CHECK(to_value(*found) == to_value(first));
    CHECK_FALSE(books.get(99).value());
    // Django's form of a time in SQLite.
    CHECK(s.database->query("SELECT added_at FROM shop_book").value()[0].at(0) ==
          value("2026-02-03 14:30:00.123456"));
}

TEST_CASE("a row is shown as JSON in the order of its columns") {
    auto shown = make_book("Emma", 474);
    CHECK(to_json(to_value(shown)) ==
          R"({"id":0,"title":"Emma","pages":474,"lent":false,"weight_kg":0.0,"returned_at":null,)"
          R"("added_at":"2026-02-03T14:30:00.123456Z","extra":{"tags":["a",1]}})");
}

TEST_CASE("named columns are updated and no other") {
    shop s;
    objects<book> books(*s.database);
    auto one = make_book("Emma", 474);
    books.insert(one).value();
    one.title = "Ulysses";
    one.pages = 730;
    one.returned_at = utc_now();
    CHECK(books.update(one, {"pages", "returned_at"}).value());
    auto found = books.get(one.id).value();
    CHECK(found->title == "Emma");
    CHECK(found->pages == 730);
    CHECK(found->returned_at == one.returned_at);
    CHECK(books.update(one).value());
    CHECK(books.get(one.id).value()->title == "Ulysses");
    one.id = 99;
    CHECK_FALSE(books.update(one).value());
    CHECK(books.update(one, {"colour"}).error().code == errc::invalid);
}

TEST_CASE("a text that is too long is refused by characters, not bytes") {
    shop s;
    objects<book> books(*s.database);
    auto fits = make_book("\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", 1);
    CHECK(books.insert(fits));
    auto long_one = make_book("12345678901", 1);
    const auto refused = books.insert(long_one);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::invalid);
    CHECK(refused.error().message == "title holds more than 10 characters");
    auto again = make_book(fits.title, 2);
    CHECK(books.insert(again).error().code == errc::conflict);
}

TEST_CASE("queries filter, order and limit") {
    shop s;
    objects<book> books(*s.database);
    for (auto [title, pages] : {std::pair("Emma", 474), std::pair("Ulysses", 730),
                                std::pair("Nana", 474), std::pair("50%_off", 12)}) {
        auto one = make_book(title, pages);
        books.insert(one).value();
    }
    CHECK(titles(books.where("pages", 474).order_by("-title").all().value()) ==
          std::vector<std::string>{"Nana", "Emma"});
    CHECK(
        titles(books.all().order_by("-pages").order_by("title").limit(2).offset(1).all().value()) ==
        std::vector<std::string>{"Emma", "Nana"});
    CHECK(titles(books.where("title", compare::contains, "%_").all().value()) ==
          std::vector<std::string>{"50%_off"});
    CHECK(books.where("title", compare::contains, "MM").count().value() == 1);
    CHECK(books.where("pages", compare::greater, 474).first().value()->title == "Ulysses");
    CHECK(books.where("pages", compare::in, array{12, 730}).count().value() == 2);
    CHECK(books.where("pages", compare::in, array{}).count().value() == 0);
    CHECK(books.where("returned_at", nullptr).count().value() == 4);
    CHECK(books.where("returned_at", compare::not_equal, nullptr).count().value() == 0);
    CHECK(books.where("added_at", compare::less, "2026-02-03T14:30:01Z").count().value() == 4);
    CHECK_FALSE(books.where("title", "nobody").first().value());
    CHECK(books.where("colour", "red").all().error().code == errc::invalid);
    CHECK(books.all().order_by("1; DROP TABLE shop_book").all().error().code == errc::invalid);
}

TEST_CASE("many rows are updated and removed at once") {
    shop s;
    objects<book> books(*s.database);
    for (int i = 0; i < 4; ++i) {
        auto one = make_book("b" + std::to_string(i), i);
        books.insert(one).value();
    }
    CHECK(books.where("pages", compare::less, 2).update({{"lent", true}, {"pages", 9}}).value() ==
          2);
    CHECK(books.where("lent", true).count().value() == 2);
    CHECK(books.where("lent", true).remove().value() == 2);
    CHECK(books.remove(3).value());
    CHECK_FALSE(books.remove(3).value());
    CHECK(books.all().count().value() == 1);
}

TEST_CASE("a stored value of the wrong kind is corrupt, not garbage") {
    shop s;
    auto one = make_book("Emma", 1);
    objects<book> books(*s.database);
    books.insert(one).value();
    s.database->execute("UPDATE shop_book SET pages = 'many'").value();
    const auto found = books.get(one.id);
    REQUIRE_FALSE(found);
    CHECK(found.error().code == errc::corrupt);
    CHECK(found.error().message == "shop_book.pages: expected an integer");
}

TEST_CASE("rows work in a transaction as they do outside") {
    shop s;
    {
        auto step = s.database->begin().value();
        objects<book> books(step);
        auto one = make_book("Emma", 1);
        books.insert(one).value();
        CHECK(books.all().count().value() == 1);
    }
    CHECK(objects<book>(*s.database).all().count().value() == 0);
}

} // namespace carillon::db
