#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "channels/group_table.hpp"

using namespace carillon;
using channels::group_table;
using channels::subscriber;

namespace {

struct member_of final : subscriber {
    explicit member_of(int n) : number(n) {}
    void on_event(const event& e, const std::shared_ptr<void>&) noexcept override {
        ++heard;
        if (then)
            then(*this, e);
    }
    int number;
    int heard = 0;
    std::function<void(member_of&, const event&)> then;
};

const event news("news", {});

} // namespace

TEST_CASE("a group comes into being with its first member and ends with its last") {
    group_table table;
    member_of a(1), b(2);
    CHECK(table.join("room", a) == group_table::change::first);
    CHECK(table.join("room", a) == group_table::change::none);
    CHECK(table.join("room", b) == group_table::change::none);
    CHECK(table.size("room") == 2);
    CHECK(table.dispatch("room", news) == 2);
    CHECK(table.leave("room", a) == group_table::change::none);
    CHECK(table.leave("room", a) == group_table::change::none);
    CHECK(table.leave("room", b) == group_table::change::last);
    CHECK(table.dispatch("room", news) == 0);
    CHECK(a.heard == 1);
    CHECK(a.groups() == 0);
    CHECK(table.leave("nowhere", a) == group_table::change::none);
}

TEST_CASE("who leaves before its turn gets nothing, who joins gets the next event") {
    group_table table;
    member_of a(1), b(2), c(3);
    table.join("room", a);
    table.join("room", b);
    a.then = [&](member_of&, const event&) {
        table.leave("room", b);
        table.join("room", c);
    };
    CHECK(table.dispatch("room", news) == 1);
    CHECK(b.heard == 0);
    CHECK(c.heard == 0);
    a.then = nullptr;
    CHECK(table.dispatch("room", news) == 2);
    CHECK(c.heard == 1);
    for (auto* one : {&a, &b, &c})
        table.leave_all(*one, [](std::string_view) {});
}

TEST_CASE("all may leave inside a dispatch, and the group may begin anew there") {
    group_table table;
    member_of a(1), b(2);
    std::vector<group_table::change> changes;
    table.join("room", a);
    a.then = [&](member_of&, const event&) {
        changes.push_back(table.leave("room", a));
        changes.push_back(table.join("room", b));
    };
    CHECK(table.dispatch("room", news) == 1);
    CHECK(changes == std::vector{group_table::change::last, group_table::change::first});
    CHECK(table.size("room") == 1);
    CHECK(table.dispatch("room", news) == 1);
    CHECK(b.heard == 1);
    std::vector<std::string> emptied;
    table.leave_all(b, [&](std::string_view name) { emptied.emplace_back(name); });
    CHECK(emptied == std::vector<std::string>{"room"});
}

namespace {

// What a group table must do, written the slow way.
struct model {
    std::map<std::string, std::set<int>> groups;
};

void act(std::mt19937& dice, group_table& table, model& expected,
         std::vector<std::unique_ptr<member_of>>& all) {
    auto& who = *all[dice() % all.size()];
    const std::string group(1, static_cast<char>('a' + dice() % 4));
    auto& members = expected.groups[group];
    switch (dice() % 5) {
    case 0:
    case 1:
    case 2: {
        const auto change = table.join(group, who);
        CHECK((change == group_table::change::first) == members.empty());
        members.insert(who.number);
        break;
    }
    case 3: {
        const bool last = members.size() == 1 && members.count(who.number) == 1;
        CHECK((table.leave(group, who) == group_table::change::last) == last);
        members.erase(who.number);
        break;
    }
    default:
        table.leave_all(who, [&](std::string_view name) {
            CHECK(expected.groups[std::string(name)].size() == 1);
        });
        for (auto& [name, there] : expected.groups)
            there.erase(who.number);
    }
}

} // namespace

TEST_CASE("joining and leaving inside dispatches agrees with a simple model") {
    std::mt19937 dice(11);
    for (int round = 0; round < 50; ++round) {
        group_table table;
        model expected;
        std::vector<std::unique_ptr<member_of>> all;
        for (int i = 0; i < 8; ++i)
            all.push_back(std::make_unique<member_of>(i));
        int depth = 0;
        for (auto& one : all)
            one->then = [&](member_of&, const event&) {
                act(dice, table, expected, all);
                if (depth < 2 && dice() % 3 == 0) {
                    ++depth;
                    table.dispatch(std::string(1, static_cast<char>('a' + dice() % 4)), news);
                    --depth;
                }
            };
        for (int step = 0; step < 100; ++step) {
            act(dice, table, expected, all);
            for (char group = 'a'; group < 'e'; ++group)
                REQUIRE(table.size(std::string(1, group)) ==
                        expected.groups[std::string(1, group)].size());
            table.dispatch(std::string(1, static_cast<char>('a' + dice() % 4)), news);
        }
        for (auto& one : all)
            one->then = nullptr;
        for (const auto& [name, members] : expected.groups) {
            for (auto& one : all)
                one->heard = 0;
            REQUIRE(table.dispatch(name, news) == members.size());
            for (auto& one : all)
                REQUIRE(one->heard == (members.count(one->number) ? 1 : 0));
        }
        for (auto& one : all)
            table.leave_all(*one, [](std::string_view) {});
    }
}

TEST_CASE("what is for everybody reaches who is in any group once, however many groups it is in") {
    group_table table;
    member_of in_both(1), in_one(2), in_none(3);
    table.join("room", in_both);
    table.join("hall", in_both);
    table.join("hall", in_one);
    table.dispatch_to_all(news);
    CHECK(in_both.heard == 1);
    CHECK(in_one.heard == 1);
    CHECK(in_none.heard == 0);
}

TEST_CASE("who leaves all groups while everybody is told does no harm") {
    group_table table;
    member_of first(1), second(2);
    first.then = [&](member_of&, const event&) {
        table.leave("room", second);
        table.leave("hall", first);
    };
    table.join("hall", first);
    table.join("room", second);
    table.join("room", first);
    table.dispatch_to_all(news);
    CHECK(first.heard == 1);
    CHECK(second.heard <= 1);
    table.dispatch_to_all(news);
    CHECK(first.heard == 2);
}
