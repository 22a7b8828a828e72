#include "load/report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <unistd.h>

namespace carillon::bench {

namespace {

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\')
            out += '\\';
        if (static_cast<unsigned char>(c) < 0x20)
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
            out += c;
    }
    return out + '"';
}

std::string plain(const value& v) {
    if (const double* d = v.if_double())
        return std::isfinite(*d) ? fmt::format("{}", *d) : "null";
    if (v.is_integer())
        return std::to_string(v.to_int());
    return std::string(v.to_text());
}

std::string json_of(const value& v) { return v.is_string() ? quoted(v.to_text()) : plain(v); }

} // namespace

report::report(std::string_view test) : test_(test) { section(""); }

report& report::section(std::string_view name) {
    sections_.emplace_back(std::string(name), 0);
    return *this;
}

report& report::number(std::string_view name, double figure, int decimals) {
    double scale = std::pow(10, decimals);
    sections_.back().second.emplace_back(name, value(std::round(figure * scale) / scale));
    return *this;
}

report& report::count(std::string_view name, std::uint64_t figure) {
    sections_.back().second.emplace_back(name, value(figure));
    return *this;
}

report& report::text(std::string_view name, std::string_view words) {
    sections_.back().second.emplace_back(name, value(words));
    return *this;
}

report& report::latency(const histogram& h) {
    section("latency_us");
    number("mean", h.mean_us(), 1).number("p50", h.quantile_us(.5), 1);
    number("p90", h.quantile_us(.9), 1).number("p99", h.quantile_us(.99), 1);
    return number("p999", h.quantile_us(.999), 1).number("max", h.max_us(), 1);
}

report& report::cpu(const cpu_cost& cost, std::string_view unit, double units) {
    std::string per = fmt::format("cpu_us_per_{}", unit),
                user = fmt::format("cpu_user_us_per_{}", unit);
    if (cost.has_server) {
        section("server").number("cpu_s", cost.server, 4);
        if (units > 0) {
            number(per, cost.server * 1e6 / units, 3);
            number(user, cost.server * cost.server_user_share * 1e6 / units, 3);
        }
        number("cores_used", cost.server / cost.seconds, 3);
    }
    section("client").number("cpu_s", cost.client, 4);
    if (units > 0)
        number(per, cost.client * 1e6 / units, 3);
    number("cores_used", cost.client / cost.seconds, 3);
    section("machine").count("cores", static_cast<std::uint64_t>(sysconf(_SC_NPROCESSORS_ONLN)));
    return number("other_cpu_s", cost.other, 2).number("steal_s", cost.steal, 2);
}

std::string report::as_table() const {
    std::size_t width = 0;
    for (const auto& [section, figures] : sections_)
        for (const auto& [name, figure] : figures)
            width = std::max(width, name.size());
    std::string out = test_ + "\n";
    for (const auto& [section, figures] : sections_) {
        if (figures.empty())
            continue;
        if (!section.empty())
            out += "  " + section + "\n";
        for (const auto& [name, figure] : figures)
            out += fmt::format("    {:<{}}  {:>14}\n", name, width, plain(figure));
    }
    return out;
}

std::string report::as_json() const {
    std::string out = "{\"test\": " + quoted(test_);
    for (const auto& [section, figures] : sections_) {
        if (figures.empty())
            continue;
        bool nested = !section.empty();
        out += nested ? ",\n \"" + section + "\": {" : "";
        bool first = nested;
        for (const auto& [name, figure] : figures) {
            out += (first ? "\"" : ", \"") + name + "\": " + json_of(figure);
            first = false;
        }
        out += nested ? "}" : "";
    }
    return out + "}\n";
}

} // namespace carillon::bench
