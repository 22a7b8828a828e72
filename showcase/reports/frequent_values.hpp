// The most frequent values of a column with more different ones than can be counted.
//
// Misra and Gries' algorithm with batched decrements: when the counters are full, the smaller half
// is given up and the others are lowered by the same amount. Every count shown is too low by at
// most `error()`, and every value that occurs more often than `error()` is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reports/value_table.hpp"

namespace showcase::reports {

class frequent_values {
public:
    struct counter {
        std::uint64_t hash = 0;
        std::uint64_t count = 0;
        std::string text; // cut to kept_text_bytes_max
    };

    explicit frequent_values(std::size_t counters);
    void add(std::string_view text, std::uint64_t hash, std::uint64_t count = 1);
    // Cells that were not shown to add(): they widen the error.
    void passed_over(std::uint64_t cells) noexcept { error_ += cells; }

    // The counters, the highest first; equal counts in the order of their texts.
    std::vector<counter> sorted() const;
    std::uint64_t error() const noexcept { return error_; }

private:
    std::size_t slot_of(std::uint64_t hash) const noexcept;
    void lower_all();
    void rebuild_slots();

    std::size_t counters_max_;
    slot_places places_;
    std::vector<std::uint16_t> slots_; // index of the counter plus one; 0 is free
    std::vector<counter> counters_;
    std::uint64_t error_ = 0;
};

} // namespace showcase::reports
