#include "app/option_kinds.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace carillon::app {

failure bad_value(std::string_view text, std::string_view wanted) {
    return {errc::invalid, fmt::format("'{}' is not {}", text, wanted)};
}

option text_option(std::string name, std::string values, std::string help,
                   std::string settings::*member) {
    option made{std::move(name), std::move(values), std::move(help)};
    made.set = [member](settings& s, const std::vector<std::string>& given) {
        s.*member = given.back();
        return result<void>();
    };
    made.get = [member](const settings& s) { return s.*member; };
    return made;
}

option list_option(std::string name, std::string values, std::string help,
                   std::vector<std::string> settings::*member, bool may_be_empty) {
    option made{std::move(name), std::move(values), std::move(help)};
    made.list = true;
    made.set = [member, may_be_empty](settings& s,
                                      const std::vector<std::string>& given) -> result<void> {
        if (given.empty() && !may_be_empty)
            return failure{errc::invalid, "at least one value is needed"};
        s.*member = given;
        return {};
    };
    made.get = [member](const settings& s) { return fmt::format("{}", fmt::join(s.*member, ",")); };
    return made;
}

option seconds_option(std::string name, std::string help, std::function<seconds_member> member,
                      std::uint32_t low, std::uint32_t high) {
    option made{std::move(name), "SECONDS", std::move(help)};
    made.set = [member, low, high](settings& s,
                                   const std::vector<std::string>& given) -> result<void> {
        auto parsed = parse_number<std::uint32_t>(given.back(), low, high);
        if (!parsed)
            return parsed.error();
        member(s) = std::chrono::seconds(*parsed);
        return {};
    };
    made.get = [member](const settings& s) {
        auto copy = s;
        return std::to_string(member(copy).count());
    };
    return made;
}

option choice_option(std::string name, std::string help, std::vector<std::string> choices,
                     std::string settings::*member) {
    auto made = text_option(std::move(name), fmt::format("{}", fmt::join(choices, "|")),
                            std::move(help), member);
    made.set = [choices, member](settings& s,
                                 const std::vector<std::string>& given) -> result<void> {
        if (std::ranges::find(choices, given.back()) == choices.end())
            return bad_value(given.back(), fmt::format("one of {}", fmt::join(choices, ", ")));
        s.*member = given.back();
        return {};
    };
    return made;
}

option url_option(std::string name, std::string help, std::string settings::*member,
                  std::string only) {
    auto made = text_option(std::move(name), only, std::move(help), member);
    made.set = [member, only](settings& s, const std::vector<std::string>& given) -> result<void> {
        if (!given.back().starts_with(only))
            return bad_value(given.back(),
                             fmt::format("supported by this version, which has {}", only));
        s.*member = given.back();
        return {};
    };
    return made;
}

} // namespace carillon::app
