// report: the figures of one measurement, printed as an aligned table or as one JSON object.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <carillon/base/value.hpp>

#include "load/histogram.hpp"
#include "load/process_meter.hpp"

namespace carillon::bench {

class report {
public:
    explicit report(std::string_view test);

    // Starts a section, an object of the JSON. Figures before the first one belong to the whole.
    report& section(std::string_view name);
    // Names are snake_case with the unit last; a double is rounded to `decimals` digits behind the
    // point.
    report& number(std::string_view name, double figure, int decimals);
    report& count(std::string_view name, std::uint64_t figure);
    report& text(std::string_view name, std::string_view words);

    // Sections that several measurements share. `unit` is what the CPU time is divided by, such as
    // "delivery".
    report& latency(const histogram& h);
    report& cpu(const cpu_cost& cost, std::string_view unit, double units);

    std::string as_table() const;
    std::string as_json() const;

private:
    std::string test_;
    std::vector<std::pair<std::string, std::vector<std::pair<std::string, value>>>> sections_;
};

} // namespace carillon::bench
