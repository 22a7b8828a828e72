// The different values of one column with their counts, exact while they are few.
//
// While a column has few different values this table is all that is kept of it: types, sums,
// quantiles and frequencies are computed from the values and their counts in the end, so a cell
// costs one look-up.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace showcase::reports {

// Bytes that several tables share. Not thread-safe.
class memory_budget {
public:
    explicit memory_budget(std::size_t bytes) : left_(bytes) {}
    bool take(std::size_t bytes) noexcept {
        if (bytes > left_)
            return false;
        left_ -= bytes;
        return true;
    }
    void give(std::size_t bytes) noexcept { left_ += bytes; }

private:
    std::size_t left_;
};

// The 64-bit hash by which values are told apart. Two different values of one column have the same
// one with a probability below 3 in 10^12 for 10,000 values; they would count as one.
std::uint64_t hash_of(std::string_view text) noexcept;

// Where a hash table of a power of two slots looks first. The place depends on a number drawn once per process, so a
// file cannot be made whose values all fall on one place; counts do not depend on it.
class slot_places {
public:
    slot_places();
    std::size_t first(std::uint64_t hash, std::size_t slots) const noexcept {
        std::uint64_t mixed = hash * multiplier_;
        // One round leaves walks of thousands for hashes in arithmetic progression; with two the longest of 8,000
        // tables was 94.
        mixed = (mixed ^ (mixed >> 32)) * multiplier_;
        mixed = (mixed ^ (mixed >> 32)) * golden;
        return static_cast<std::size_t>(mixed >> std::countl_zero(slots - 1));
    }

private:
    static constexpr std::uint64_t golden = 0x9E3779B97F4A7C15; // 2^64 by the golden ratio, odd
    std::uint64_t multiplier_;                                  // odd
};

class value_table {
public:
    struct entry {
        std::uint64_t hash;
        std::uint64_t count;
        std::uint32_t text_begin;
        std::uint32_t text_size;
    };

    // The budget must outlive the table, which gives back what it took.
    explicit value_table(memory_budget& budget);
    ~value_table();
    value_table(const value_table&) = delete;
    value_table& operator=(const value_table&) = delete;

    // Counts one value. False when it is a new one and there is no room for it: then nothing was
    // counted.
    bool add(std::string_view text, std::uint64_t hash);

    const std::vector<entry>& entries() const noexcept { return entries_; }
    // The text of an entry, cut to kept_text_bytes_max.
    std::string_view text_of(const entry& e) const noexcept {
        return std::string_view(texts_).substr(e.text_begin, e.text_size);
    }

    // The most slots that a look-up of a present value passes.
    std::size_t longest_walk() const noexcept;

private:
    bool make_room(std::size_t text_size);
    bool grow_slots();
    std::size_t slot_of(std::uint64_t hash) const noexcept;

    memory_budget* budget_;
    slot_places places_;
    std::size_t taken_ = 0;            // bytes of the budget
    std::vector<std::uint16_t> slots_; // index of the entry plus one; 0 is free
    std::vector<entry> entries_;
    std::string texts_;
};

} // namespace showcase::reports
