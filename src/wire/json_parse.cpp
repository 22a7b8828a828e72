// Reading JSON: Boost.JSON's parser without its tree, straight into values.
#include <charconv>
#include <cmath>
#include <utility>

#include <boost/json/basic_parser_impl.hpp>

#include "wire/distinct_members.hpp"
#include <carillon/wire/json.hpp>

namespace carillon {

namespace {

namespace json = boost::json;
using json::error_code;

// What Boost.JSON calls while it reads; the names are its own.
struct value_builder {
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

    // An array or object that is not whole yet.
    struct open_container {
        std::vector<object::member> named;
        array items;
        std::string key;
        bool is_object = false;
    };
    std::vector<open_container> open;
    std::string text; // the parts of a string, key or number so far
    value root;

    bool add(value v) {
        if (open.empty())
            root = std::move(v);
        else if (open.back().is_object)
            open.back().named.emplace_back(std::move(open.back().key), std::move(v));
        else
            open.back().items.push_back(std::move(v));
        return true;
    }
    bool open_one(bool is_object) {
        open.emplace_back().is_object = is_object;
        return true;
    }
    std::string whole(json::string_view last_part) {
        text.append(last_part.data(), last_part.size());
        return std::exchange(text, {});
    }

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_object_begin(error_code&) { return open_one(true); }
    bool on_array_begin(error_code&) { return open_one(false); }
    bool on_object_end(std::size_t, error_code&) {
        auto named = std::move(open.back().named);
        open.pop_back();
        return add(wire::without_duplicates(std::move(named)));
    }
    bool on_array_end(std::size_t, error_code&) {
        auto items = std::move(open.back().items);
        open.pop_back();
        return add(std::move(items));
    }
    bool on_key_part(json::string_view s, std::size_t, error_code&) { return on_part(s); }
    bool on_key(json::string_view s, std::size_t, error_code&) {
        open.back().key = whole(s);
        return true;
    }
    bool on_string_part(json::string_view s, std::size_t, error_code&) { return on_part(s); }
    bool on_string(json::string_view s, std::size_t, error_code&) { return add(whole(s)); }
    bool on_number_part(json::string_view s, error_code&) { return on_part(s); }
    bool on_part(json::string_view s) {
        text.append(s.data(), s.size());
        return true;
    }
    bool on_int64(std::int64_t n, json::string_view, error_code&) {
        text.clear();
        return add(n);
    }
    bool on_uint64(std::uint64_t n, json::string_view, error_code&) {
        text.clear();
        return add(n);
    }
    // Boost 1.81 may miss the nearest double by a bit; the standard library does not. `near` tells which side an
    // out-of-range number lies on: too small is zero, too large is refused.
    bool on_double(double near, json::string_view s, error_code& problem) {
        const auto digits = whole(s);
        double d = 0;
        const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), d);
        if (read.ec == std::errc::result_out_of_range) {
            if (std::abs(near) > 1) {
                problem = json::error::exponent_overflow;
                return false;
            }
            d = std::copysign(0.0, near);
        }
        return add(d);
    }
    bool on_bool(bool b, error_code&) { return add(b); }
    bool on_null(error_code&) { return add(nullptr); }
    bool on_comment_part(json::string_view, error_code&) { return true; }
    bool on_comment(json::string_view, error_code&) { return true; }
};

failure why_not(const error_code& problem, std::size_t at) {
    if (problem == json::error::too_deep)
        return {errc::too_large,
                "The JSON is nested deeper than " + std::to_string(json_depth_max) + " levels."};
    return {errc::bad_request,
            "The JSON is malformed at byte " + std::to_string(at) + ": " + problem.message() + "."};
}

} // namespace

result<value> parse_json(std::string_view text) {
    json::parse_options options;
    options.max_depth = json_depth_max;
    json::basic_parser<value_builder> parser(options);
    error_code problem;
    const auto taken = parser.write_some(false, text.data(), text.size(), problem);
    if (!problem && taken < text.size())
        problem = json::error::extra_data;
    if (problem)
        return why_not(problem, taken);
    return std::move(parser.handler().root);
}

} // namespace carillon
