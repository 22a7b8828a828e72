#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include <carillon/web/request.hpp>
#include <carillon/web/response.hpp>

using namespace carillon;

TEST_CASE("every error code has its status") {
    const std::pair<errc, int> table[] = {{errc::bad_request, 400},
                                          {errc::unauthorized, 401},
                                          {errc::forbidden, 403},
                                          {errc::not_found, 404},
                                          {errc::method_not_allowed, 405},
                                          {errc::timed_out, 408},
                                          {errc::conflict, 409},
                                          {errc::too_large, 413},
                                          {errc::unsupported_media, 415},
                                          {errc::invalid, 422},
                                          {errc::too_many_requests, 429},
                                          {errc::unavailable, 503},
                                          {errc::channel_full, 503},
                                          {errc::cancelled, 499},
                                          {errc::closed, 499},
                                          {errc::corrupt, 500},
                                          {errc::internal, 500}};
    for (const auto& row : table) {
        const auto code = row.first;
        const auto status = row.second;
        CAPTURE(name_of(code));
        CHECK(http_status_of(code) == status);
        CHECK(error_response(code, "x").status == status);
    }
    CHECK(http_status_of(static_cast<errc>(999)) == 500);
}

TEST_CASE("docs/errors.md tells the status of every code") {
    std::ifstream page(CARILLON_SOURCE_DIR "/docs/errors.md", std::ios::binary);
    std::stringstream content;
    content << page.rdbuf();
    for (int number = 1; number <= static_cast<int>(errc::internal); ++number) {
        const auto code = static_cast<errc>(number);
        CAPTURE(name_of(code));
        const auto row = "\n| `" + std::string(name_of(code)) + "` | ";
        const auto at = content.str().find(row);
        REQUIRE(at != std::string::npos);
        const auto line = content.str().substr(at + 1, content.str().find('\n', at + 1) - at - 1);
        CHECK(line.find("| " + std::to_string(http_status_of(code)) + " |") != std::string::npos);
    }
}

TEST_CASE("an error is an envelope of code, message and fields") {
    CHECK(error_response(errc::not_found, "there is no bed 5").body ==
          R"({"error":{"code":"not_found","message":"there is no bed 5"}})");
    CHECK(error_response(errc::invalid, "look", {{"title", "may not be empty"}}).body ==
          R"({"error":{"code":"invalid","message":"look","fields":{"title":"may not be empty"}}})");
    CHECK(error_response(errc::invalid, "a \"quote\"\n").body.find(R"(a \"quote\"\n)") !=
          std::string::npos);
}

TEST_CASE("a request's JSON is read with its content type in mind") {
    request asked;
    asked.body = R"({"a": 1})";
    CHECK(asked.json().is_object());
    asked.headers = {{"Content-Type", "Application/JSON; charset=utf-8"}};
    CHECK(asked.content_type() == "application/json");
    CHECK(asked.json().is_object());
    asked.headers = {{"Content-Type", "text/plain"}};
    CHECK_THROWS_AS(asked.json(), error);
    asked.headers = {};
    asked.body = "{";
    try {
        static_cast<void>(asked.json());
        FAIL("malformed JSON was taken");
    } catch (const error& wrong) {
        CHECK(wrong.code() == errc::bad_request);
    }
}

TEST_CASE("numbers of the query and of the path are read within their bounds") {
    request asked;
    asked.query_string = "limit=20&bad=x&large=99999999999999999999&limit=3";
    CHECK(asked.query_int("limit", 10, 1, 100) == 20);
    CHECK(asked.query_int("offset", 10, 1, 100) == 10);
    for (const auto* name : {"bad", "large"})
        CHECK_THROWS_AS(asked.query_int(name, 1, 1, 100), error);
    CHECK_THROWS_AS(asked.query_int("limit", 1, 1, 5), error);
    asked.url_kwargs = {{"id", "007"}, {"huge", "99999999999999999999"}};
    CHECK(asked.kwarg_int("id") == 7);
    CHECK_THROWS_AS(asked.kwarg_int("huge"), error);
}
