// The kinds of settings: how one of each is read from texts, checked and shown.
#pragma once

#include <charconv>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/options.hpp"

namespace carillon::app {

// "'text' is not wanted".
failure bad_value(std::string_view text, std::string_view wanted);

template <std::unsigned_integral T>
result<T> parse_number(std::string_view text, T low, T high) {
    T parsed = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (problem != std::errc{} || end != text.data() + text.size() || parsed < low || parsed > high)
        return bad_value(text, fmt::format("a whole number from {} to {}", low, high));
    return parsed;
}

option text_option(std::string name, std::string values, std::string help,
                   std::string settings::*member);
option list_option(std::string name, std::string values, std::string help,
                   std::vector<std::string> settings::*member, bool may_be_empty);
option choice_option(std::string name, std::string help, std::vector<std::string> choices,
                     std::string settings::*member);
// A part that has one implementation in this version: other URLs are refused with what is there.
option url_option(std::string name, std::string help, std::string settings::*member,
                  std::string only);

using seconds_member = std::chrono::seconds&(settings&);
inline constexpr std::uint32_t seconds_of_a_day = 86'400;
option seconds_option(std::string name, std::string help, std::function<seconds_member> member,
                      std::uint32_t low, std::uint32_t high = seconds_of_a_day);

// `member` gives a reference to the number.
template <std::unsigned_integral T>
option number_option_at(std::string name, std::string help, std::function<T&(settings&)> member,
                        T low, T high) {
    option made{std::move(name), "NUMBER", std::move(help)};
    made.set = [=](settings& s, const std::vector<std::string>& given) -> result<void> {
        auto parsed = parse_number<T>(given.back(), low, high);
        if (!parsed)
            return parsed.error();
        member(s) = *parsed;
        return {};
    };
    made.get = [=](const settings& s) {
        auto copy = s;
        return std::to_string(member(copy));
    };
    return made;
}

template <std::unsigned_integral T>
option number_option(std::string name, std::string help, T settings::*member, T low, T high) {
    return number_option_at<T>(
        std::move(name), std::move(help), [member](settings& s) -> T& { return s.*member; }, low,
        high);
}

// Parts of the table.
void add_layer_options(std::vector<option>& all);
void add_job_options(std::vector<option>& all);
void add_limit_options(std::vector<option>& all);

} // namespace carillon::app
