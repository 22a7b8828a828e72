// Reads the vectors for the tests of this folder.
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>

#include "wire/celery/test_vectors.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::wire::celery::test {

const value& vectors() {
    static const value all = [] {
        std::ifstream file(CARILLON_SOURCE_DIR "/tests/data/celery_vectors.json");
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        return parse_json(text).value();
    }();
    return all;
}

int for_each_message(std::string_view kind, const message_visitor& visit) {
    int count = 0;
    for (const auto& [version, scenarios] : *vectors()["amqp"].if_object())
        for (const auto& [scenario, list] : *scenarios.if_object())
            for (const auto& message : *list.if_array())
                if (message["kind"].to_text() == kind) {
                    visit(version, scenario, message);
                    ++count;
                }
    return count;
}

int for_each_command(std::string_view name, const command_visitor& visit) {
    int count = 0;
    for (const auto& [version, scenarios] : *vectors()["redis"].if_object())
        for (const auto& [scenario, list] : *scenarios.if_object())
            for (const auto& command : *list.if_array())
                if (command.if_array()->front().to_text() == name) {
                    visit(version, scenario, *command.if_array());
                    ++count;
                }
    return count;
}

array messages(std::string_view version, std::string_view scenario, std::string_view kind) {
    array found;
    for_each_message(kind, [&](std::string_view v, std::string_view s, const value& message) {
        if (v == version && s == scenario)
            found.push_back(message);
    });
    return found;
}

object properties_of(const value& message) {
    auto properties = *message["properties"].if_object();
    properties.erase("headers");
    return properties;
}

object headers_of(const value& message) { return *message["properties"]["headers"].if_object(); }

TEST_CASE("the vectors of Celery are there, of both versions") {
    CHECK(vectors()["amqp"].if_object()->size() == 2);
    CHECK(vectors()["redis"].if_object()->size() == 2);
}

} // namespace carillon::wire::celery::test
