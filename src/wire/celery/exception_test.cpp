#include "wire/celery/exception.hpp"

#include <filesystem>
#include <new>

#include <doctest/doctest.h>

namespace carillon::wire::celery {

namespace {

constexpr errc all_codes[] = {errc::bad_request,
                              errc::unauthorized,
                              errc::forbidden,
                              errc::not_found,
                              errc::method_not_allowed,
                              errc::conflict,
                              errc::too_large,
                              errc::unsupported_media,
                              errc::invalid,
                              errc::too_many_requests,
                              errc::unavailable,
                              errc::channel_full,
                              errc::timed_out,
                              errc::cancelled,
                              errc::closed,
                              errc::corrupt,
                              errc::internal};

failure seen_by_cpp(std::string_view type, std::string_view text) {
    exception_record e;
    e.type = type;
    e.arguments = {value(text)};
    return to_failure(e);
}

} // namespace

TEST_CASE("every code comes back from a record as it was") {
    for (const auto code : all_codes) {
        CAPTURE(name_of(code));
        const auto e = read_exception(to_value(to_exception(failure{code, "why"})));
        CHECK_FALSE(e.module.empty());
        CHECK(to_failure(e).code == code);
        CHECK(to_failure(e).message == "why");
    }
}

TEST_CASE("exceptions of ours are those that a Python caller catches") {
    const auto shown = [](const std::exception& e) {
        const auto record = to_exception(e);
        return record.module + "." + repr(record);
    };
    CHECK(shown(carillon::error(errc::not_found, "no bed 5")) ==
          "builtins.LookupError('no bed 5')");
    CHECK(shown(carillon::error(errc::conflict, "taken")) == "carillon.Conflict('taken')");
    CHECK(shown(std::runtime_error("boom")) == "builtins.RuntimeError('boom')");
    CHECK(shown(std::invalid_argument("x")) == "builtins.ValueError('x')");
    CHECK(shown(std::out_of_range("x")) == "builtins.IndexError('x')");
    CHECK(shown(std::overflow_error("x")) == "builtins.OverflowError('x')");
    CHECK(shown(std::range_error("x")) == "builtins.ArithmeticError('x')");
    CHECK(shown(std::filesystem::filesystem_error("x", std::error_code()))
              .starts_with("builtins.OSError("));
    CHECK(to_exception(std::bad_alloc()).type == "MemoryError");
    CHECK(to_exception(std::bad_cast()).type == "TypeError");
    CHECK_FALSE(to_exception(std::runtime_error("boom")).code);
}

TEST_CASE("exceptions of Python have a code for a C++ caller, and say who raised them") {
    CHECK(seen_by_cpp("ValueError", "bad").code == errc::invalid);
    CHECK(seen_by_cpp("ValueError", "bad").message == "ValueError: bad");
    CHECK(seen_by_cpp("KeyError", "k").code == errc::not_found);
    CHECK(seen_by_cpp("TimeLimitExceeded", "").code == errc::timed_out);
    CHECK(seen_by_cpp("SomethingOfTheirs", "x").code == errc::internal);
    exception_record e;
    e.type = "Odd";
    CHECK(to_failure(e).message == "Odd");
    e.arguments = {1, "a"};
    CHECK(to_failure(e).message == "Odd: (1, 'a')");
}

TEST_CASE("a code that is unknown here is not believed") {
    auto v = to_value(to_exception(failure{errc::conflict, "x"}));
    v.if_object()->set("carillon_code", "not_a_code");
    CHECK_FALSE(read_exception(v).code);
    CHECK(to_failure(read_exception(v)).code == errc::conflict); // by the name of the class
}

TEST_CASE("Celery's own exceptions look like Celery's") {
    const auto shown = [](const exception_record& e) { return e.module + "." + repr(e); };
    CHECK(shown(not_registered("vapp.nosuch")) == "celery.exceptions.NotRegistered('vapp.nosuch')");
    CHECK(shown(task_revoked("expired")) == "celery.exceptions.TaskRevokedError('expired')");
    CHECK(shown(time_limit_exceeded(2, false)) == "billiard.exceptions.TimeLimitExceeded(2)");
    CHECK(shown(time_limit_exceeded(1.5, true)) ==
          "billiard.exceptions.SoftTimeLimitExceeded(1.5)");
    CHECK(shown(worker_lost("signal 9")) == "billiard.exceptions.WorkerLostError('signal 9')");
    CHECK(max_retries_exceeded("t", "1").type == "MaxRetriesExceededError");
    exception_record e;
    e.type = "ValueError";
    e.arguments = {"boom"};
    CHECK(chord_error("7", e).arguments == array{"Dependency 7 raised ValueError('boom')"});
}

} // namespace carillon::wire::celery
