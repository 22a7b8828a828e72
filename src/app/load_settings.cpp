#include "app/options.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "app/job_settings.hpp"
#include "app/schedule_settings.hpp"
#include <carillon/wire/json.hpp>

namespace carillon::app {

namespace {

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const auto comma = text.find(',');
        auto item = text.substr(0, comma);
        while (item.starts_with(' '))
            item.remove_prefix(1);
        while (item.ends_with(' '))
            item.remove_suffix(1);
        if (!item.empty())
            items.emplace_back(item);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return items;
}

// The nearest known name, for "did you mean".
std::string nearest_name(std::string_view wrong) {
    const auto distance = [](std::string_view a, std::string_view b) {
        std::vector<std::size_t> row(b.size() + 1);
        for (std::size_t j = 0; j <= b.size(); ++j)
            row[j] = j;
        for (std::size_t i = 1; i <= a.size(); ++i) {
            std::size_t diagonal = row[0];
            row[0] = i;
            for (std::size_t j = 1; j <= b.size(); ++j) {
                const auto above = row[j];
                row[j] = std::min({row[j - 1] + 1, above + 1, diagonal + (a[i - 1] != b[j - 1])});
                diagonal = above;
            }
        }
        return row[b.size()];
    };
    const auto nearest = std::ranges::min_element(
        options(), {}, [&](const option& o) { return distance(wrong, o.name); });
    return distance(wrong, nearest->name) <= 3 ? fmt::format("; did you mean {}?", nearest->name)
                                               : "";
}

result<std::vector<std::string>> texts_of(const toml::node& node, const option& one) {
    const auto text_of = [](const toml::node& item) -> std::optional<std::string> {
        if (const auto* text = item.as_string())
            return text->get();
        if (const auto* whole = item.as_integer())
            return std::to_string(whole->get());
        return {};
    };
    std::vector<std::string> texts;
    if (const auto* items = node.as_array(); items && one.list) {
        for (const auto& item : *items) {
            auto text = text_of(item);
            if (!text)
                return failure{errc::invalid, "each item must be a text"};
            texts.push_back(*std::move(text));
        }
        return texts;
    }
    auto text = text_of(node);
    if (!text)
        return failure{errc::invalid, one.list ? "must be a text or a list of texts"
                                               : "must be a text or a whole number"};
    texts.push_back(*std::move(text));
    return texts;
}

result<void> load_file(const std::string& path, loaded_settings& into) {
    toml::table file;
    try {
        file = toml::parse_file(path);
    } catch (const toml::parse_error& wrong) {
        return failure{errc::invalid, fmt::format("{}:{}: {}", path, wrong.source().begin.line,
                                                  wrong.description())};
    }
    for (const auto& [key, node] : file) {
        const auto where = fmt::format("{}:{}", path, node.source().begin.line);
        if (key.str() == "schedule") {
            auto entries = read_schedules(node, path);
            if (!entries)
                return entries.error();
            into.values.schedules = *std::move(entries);
            continue;
        }
        const auto* known = find_option(key.str());
        if (!known)
            return failure{errc::invalid, fmt::format("{}: unknown setting '{}'{}", where,
                                                      key.str(), nearest_name(key.str()))};
        auto texts = texts_of(node, *known);
        auto done = texts ? known->set(into.values, *texts) : result<void>(texts.error());
        if (!done)
            return failure{errc::invalid,
                           fmt::format("{}: {}: {}", where, known->name, done.error().message)};
        into.from[known->name] = where;
    }
    return {};
}

// A JSON array of texts.
result<std::vector<std::string>> items_of_array(std::string_view text) {
    const auto parsed = parse_json(text);
    const auto* items = parsed ? parsed->if_array() : nullptr;
    std::vector<std::string> texts;
    for (std::size_t i = 0; items && i < items->size(); ++i)
        if (const auto* item = (*items)[i].if_string())
            texts.push_back(*item);
    if (!items || texts.size() != items->size())
        return failure{errc::invalid, "what begins with [ must be a JSON array of texts"};
    return texts;
}

result<std::vector<std::string>> items_of_variable(std::string_view text, const option& one) {
    if (one.whole_items && text.starts_with('['))
        return items_of_array(text);
    return one.list && !one.whole_items ? split_list(text) : std::vector{std::string(text)};
}

result<void> load_environment(const environment& get_variable, loaded_settings& into) {
    for (const auto& one : options()) {
        const auto variable = environment_name(one);
        const char* text = get_variable(variable.c_str());
        if (!text)
            continue;
        const auto texts = items_of_variable(text, one);
        auto done = texts ? one.set(into.values, *texts) : result<void>(texts.error());
        if (!done)
            return failure{errc::invalid, fmt::format("{}: {}", variable, done.error().message)};
        into.from[one.name] = variable;
    }
    return {};
}

result<void> load_flags(const flag_values& flags, loaded_settings& into) {
    for (const auto& [name, given] : flags) {
        const auto* known = find_option(name);
        std::vector<std::string> texts;
        for (const auto& one : given)
            if (known->list && !known->whole_items)
                for (auto& item : split_list(one))
                    texts.push_back(std::move(item));
            else
                texts.push_back(one);
        if (auto done = known->set(into.values, texts); !done)
            return failure{errc::invalid, fmt::format("--{}: {}", name, done.error().message)};
        into.from[known->name] = "--" + known->name;
    }
    return {};
}

} // namespace

result<loaded_settings> load_settings(const std::string& config_file, const flag_values& flags,
                                      const environment& get_variable) {
    loaded_settings loaded;
    for (const auto& one : options())
        loaded.from[one.name] = "default";
    constexpr auto usual_file = "carillon.toml";
    if (!config_file.empty() || std::filesystem::exists(usual_file)) {
        const std::string path = config_file.empty() ? usual_file : config_file;
        if (!std::filesystem::exists(path))
            return failure{errc::invalid,
                           fmt::format("the configuration file {} is not there", path)};
        if (auto done = load_file(path, loaded); !done)
            return done.error();
    }
    if (auto done = load_environment(get_variable, loaded); !done)
        return done.error();
    if (auto done = load_flags(flags, loaded); !done)
        return done.error();
    if (loaded.values.tls_cert.empty() != loaded.values.tls_key.empty())
        return failure{errc::invalid, "tls-cert and tls-key belong together: give both or neither"};
    if (loaded.from["result-backend"] == "default" && jobs_on_broker(loaded.values))
        loaded.values.result_backend = usual_result_backend(loaded.values);
    if (loaded.from["beat-store"] == "default")
        loaded.values.beat_store = usual_beat_store(loaded.values);
    if (auto fits = check_job_settings(loaded.values); !fits)
        return failure{errc::invalid,
                       fmt::format("broker ({}) and result-backend ({}): {}", loaded.from["broker"],
                                   loaded.from["result-backend"], fits.error().message)};
    return loaded;
}

} // namespace carillon::app
