#include "wire/celery/exception.hpp"

#include <array>
#include <filesystem>
#include <new>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <typeinfo>
#include <variant>

#include <fmt/format.h>

#include "wire/celery/message.hpp"
#include "wire/celery/parts.hpp"

namespace carillon::wire::celery {

namespace {

constexpr std::string_view code_member = "carillon_code";
constexpr std::string_view builtins = "builtins", celery_module = "celery.exceptions",
                           billiard_module = "billiard.exceptions", own_module = "carillon";

struct class_of_code {
    errc code;
    std::string_view module, type;
};
// Where Python has no class that says it, one is named that its reader makes up.
constexpr std::array<class_of_code, 17> classes{{
    {errc::bad_request, builtins, "ValueError"},
    {errc::unauthorized, builtins, "PermissionError"},
    {errc::forbidden, builtins, "PermissionError"},
    {errc::not_found, builtins, "LookupError"},
    {errc::method_not_allowed, builtins, "NotImplementedError"},
    {errc::conflict, own_module, "Conflict"},
    {errc::too_large, builtins, "OverflowError"},
    {errc::unsupported_media, builtins, "TypeError"},
    {errc::invalid, builtins, "ValueError"},
    {errc::too_many_requests, own_module, "TooManyRequests"},
    {errc::unavailable, builtins, "ConnectionError"},
    {errc::channel_full, builtins, "BufferError"},
    {errc::timed_out, builtins, "TimeoutError"},
    {errc::cancelled, celery_module, "TaskRevokedError"},
    {errc::closed, builtins, "ConnectionResetError"},
    {errc::corrupt, builtins, "ValueError"},
    {errc::internal, builtins, "RuntimeError"},
}};

struct code_of_class {
    std::string_view type;
    errc code;
};
// By the name alone: names of exceptions are unique enough, and the module of a C++ caller's choice is not known.
constexpr std::array<code_of_class, 38> codes{{
    {"ValueError", errc::invalid},
    {"UnicodeDecodeError", errc::invalid},
    {"UnicodeEncodeError", errc::invalid},
    {"ValidationError", errc::invalid},
    {"TypeError", errc::invalid},
    {"KeyError", errc::not_found},
    {"IndexError", errc::not_found},
    {"LookupError", errc::not_found},
    {"FileNotFoundError", errc::not_found},
    {"ObjectDoesNotExist", errc::not_found},
    {"DoesNotExist", errc::not_found},
    {"NotRegistered", errc::not_found},
    {"FileExistsError", errc::conflict},
    {"IntegrityError", errc::conflict},
    {"Conflict", errc::conflict},
    {"PermissionError", errc::forbidden},
    {"PermissionDenied", errc::forbidden},
    {"NotImplementedError", errc::method_not_allowed},
    {"OverflowError", errc::too_large},
    {"MemoryError", errc::too_large},
    {"TooManyRequests", errc::too_many_requests},
    {"BufferError", errc::channel_full},
    {"TimeoutError", errc::timed_out},
    {"TimeLimitExceeded", errc::timed_out},
    {"SoftTimeLimitExceeded", errc::timed_out},
    {"ConnectionError", errc::unavailable},
    {"ConnectionRefusedError", errc::unavailable},
    {"OperationalError", errc::unavailable},
    {"OSError", errc::unavailable},
    {"ConnectionResetError", errc::closed},
    {"ConnectionAbortedError", errc::closed},
    {"BrokenPipeError", errc::closed},
    {"EOFError", errc::closed},
    {"WorkerLostError", errc::closed},
    {"TaskRevokedError", errc::cancelled},
    {"CancelledError", errc::cancelled},
    {"DecodeError", errc::corrupt},
    {"JSONDecodeError", errc::corrupt},
}};

exception_record record(std::string_view module, std::string_view type, array arguments) {
    exception_record e;
    e.module = module;
    e.type = type;
    e.arguments = std::move(arguments);
    return e;
}

template <class... Kinds>
bool is_one_of(const std::exception& thrown) {
    return (dynamic_cast<const Kinds*>(&thrown) || ...);
}

std::string_view class_of(const std::exception& thrown) {
    if (is_one_of<std::out_of_range>(thrown))
        return "IndexError";
    if (is_one_of<std::invalid_argument, std::domain_error, std::length_error>(thrown))
        return "ValueError";
    if (is_one_of<std::overflow_error>(thrown))
        return "OverflowError";
    if (is_one_of<std::underflow_error, std::range_error>(thrown))
        return "ArithmeticError";
    if (is_one_of<std::system_error>(thrown)) // and with it files and streams
        return "OSError";
    if (is_one_of<std::bad_alloc>(thrown))
        return "MemoryError";
    if (is_one_of<std::bad_cast, std::bad_typeid, std::bad_variant_access,
                  std::bad_optional_access>(thrown))
        return "TypeError";
    return "RuntimeError";
}

std::optional<errc> code_named(std::string_view name) noexcept {
    for (const auto& c : classes)
        if (name_of(c.code) == name)
            return c.code;
    return {};
}

std::string text_of_arguments(const exception_record& e) {
    if (e.arguments.size() == 1 && e.arguments[0].is_string())
        return std::string(e.arguments[0].to_text());
    return e.arguments.empty() ? std::string() : repr_args(e.arguments);
}

} // namespace

value to_value(const exception_record& e) {
    object o;
    o.append("exc_type", e.type);
    o.append("exc_message", e.arguments);
    o.append("exc_module", text_or_null(e.module));
    if (e.code)
        o.append(std::string(code_member), name_of(*e.code));
    return o;
}

exception_record read_exception(const value& v) {
    const auto* o = v.if_object();
    const auto* type = o ? o->find("exc_type") : nullptr;
    if (!type || !type->is_string())
        return record({}, "Exception", v.is_null() ? array() : array{v});
    auto e = record(text_of(*o, "exc_module"), type->to_text(), {});
    const auto& arguments = at(*o, "exc_message");
    if (const auto* items = arguments.if_array())
        e.arguments = *items;
    else if (!arguments.is_null())
        e.arguments.push_back(arguments);
    e.code = code_named(at(*o, code_member).to_text());
    return e;
}

std::string repr(const exception_record& e) {
    auto arguments = repr_args(e.arguments);
    // A call has no comma after its only argument.
    if (arguments.ends_with(",)"))
        arguments.replace(arguments.size() - 2, 2, ")");
    return e.type + arguments;
}

exception_record to_exception(const failure& why) {
    for (const auto& c : classes)
        if (c.code == why.code) {
            auto e = record(c.module, c.type, {value(why.message)});
            e.code = why.code;
            return e;
        }
    return record(builtins, "RuntimeError", {value(why.message)});
}

exception_record to_exception(const std::exception& thrown) {
    if (const auto* own = dynamic_cast<const carillon::error*>(&thrown))
        return to_exception(failure{own->code(), own->what()});
    return record(builtins, class_of(thrown), {value(thrown.what())});
}

failure to_failure(const exception_record& e) {
    auto text = text_of_arguments(e);
    if (e.code)
        return {*e.code, std::move(text)};
    auto message = text.empty() ? e.type : fmt::format("{}: {}", e.type, text);
    for (const auto& c : codes)
        if (c.type == e.type)
            return {c.code, std::move(message)};
    return {errc::internal, std::move(message)};
}

exception_record not_registered(std::string_view task) {
    return record(celery_module, "NotRegistered", {value(task)});
}

exception_record task_revoked(std::string_view why) {
    return record(celery_module, "TaskRevokedError", {value(why)});
}

exception_record time_limit_exceeded(double seconds, bool soft) {
    value limit = seconds;
    // Celery writes whole seconds as an integer.
    if (seconds >= 0 && seconds < 1e9 &&
        static_cast<double>(static_cast<std::int64_t>(seconds)) == seconds)
        limit = static_cast<std::int64_t>(seconds);
    return record(billiard_module, soft ? "SoftTimeLimitExceeded" : "TimeLimitExceeded",
                  {std::move(limit)});
}

exception_record worker_lost(std::string_view text) {
    return record(billiard_module, "WorkerLostError", {value(text)});
}

exception_record max_retries_exceeded(std::string_view task, std::string_view id) {
    return record(celery_module, "MaxRetriesExceededError",
                  {value(fmt::format("Can't retry {}[{}]: no try is left", task, id))});
}

exception_record chord_error(std::string_view dependency_id, const exception_record& raised) {
    return record(celery_module, "ChordError",
                  {value(fmt::format("Dependency {} raised {}", dependency_id, repr(raised)))});
}

} // namespace carillon::wire::celery
