#include "reports/frequent_values.hpp"

#include <algorithm>
#include <bit>

#include "reports/limits.hpp"

namespace showcase::reports {

frequent_values::frequent_values(std::size_t counters)
    : counters_max_(counters), slots_(std::bit_ceil(counters * 2)) {
    counters_.reserve(counters);
}

std::size_t frequent_values::slot_of(std::uint64_t hash) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = places_.first(hash, slots_.size());
    while (slots_[at] != 0 && counters_[slots_[at] - 1u].hash != hash)
        at = (at + 1) & mask;
    return at;
}

void frequent_values::add(std::string_view text, std::uint64_t hash, std::uint64_t count) {
    std::size_t at = slot_of(hash);
    if (slots_[at] != 0) {
        counters_[slots_[at] - 1u].count += count;
        return;
    }
    if (counters_.size() == counters_max_) {
        lower_all();
        at = slot_of(hash);
    }
    counters_.push_back({hash, count, std::string(text.substr(0, kept_text_bytes_max))});
    slots_[at] = static_cast<std::uint16_t>(counters_.size());
}

void frequent_values::lower_all() {
    std::vector<std::uint64_t> counts(counters_.size());
    std::transform(counters_.begin(), counters_.end(), counts.begin(),
                   [](const counter& c) { return c.count; });
    const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
    std::nth_element(counts.begin(), middle, counts.end());
    const std::uint64_t by = *middle;
    error_ += by;
    std::erase_if(counters_, [by](const counter& c) { return c.count <= by; });
    for (counter& c : counters_)
        c.count -= by;
    rebuild_slots();
}

void frequent_values::rebuild_slots() {
    std::fill(slots_.begin(), slots_.end(), std::uint16_t{0});
    for (std::size_t i = 0; i < counters_.size(); ++i)
        slots_[slot_of(counters_[i].hash)] = static_cast<std::uint16_t>(i + 1);
}

std::vector<frequent_values::counter> frequent_values::sorted() const {
    std::vector<counter> out = counters_;
    std::sort(out.begin(), out.end(), [](const counter& a, const counter& b) {
        return a.count != b.count ? a.count > b.count : a.text < b.text;
    });
    return out;
}

} // namespace showcase::reports
