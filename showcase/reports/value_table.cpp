#include "reports/value_table.hpp"

#include <algorithm>
#include <random>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "reports/limits.hpp"

namespace showcase::reports {

static_assert(exact_values_max < 65'535, "slots hold 16-bit indices");

std::uint64_t hash_of(std::string_view text) noexcept {
    return XXH3_64bits(text.data(), text.size());
}

slot_places::slot_places() {
    static const std::uint64_t drawn = [] {
        std::random_device source;
        return std::uint64_t{source()} << 32 | source();
    }();
    multiplier_ = drawn | 1;
}

value_table::value_table(memory_budget& budget) : budget_(&budget), slots_(16) {}

value_table::~value_table() { budget_->give(taken_); }

std::size_t value_table::slot_of(std::uint64_t hash) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = places_.first(hash, slots_.size());
    while (slots_[at] != 0 && entries_[slots_[at] - 1u].hash != hash)
        at = (at + 1) & mask;
    return at;
}

bool value_table::grow_slots() {
    const std::size_t size = slots_.size() * 2;
    if (!budget_->take(size * sizeof(slots_[0])))
        return false;
    taken_ += size * sizeof(slots_[0]);
    // The old half stays charged: the sum of all sizes is less than twice the last one.
    std::vector<std::uint16_t>(size).swap(slots_);
    for (std::size_t i = 0; i < entries_.size(); ++i)
        slots_[slot_of(entries_[i].hash)] = static_cast<std::uint16_t>(i + 1);
    return true;
}

// Capacities grow by half and are charged before they are reserved.
bool value_table::make_room(std::size_t text_size) {
    if (entries_.size() == exact_values_max)
        return false;
    if (entries_.size() == entries_.capacity()) {
        const std::size_t more =
            std::min(entries_.size() / 2 + 8, exact_values_max - entries_.size());
        if (!budget_->take(more * sizeof(entry)))
            return false;
        taken_ += more * sizeof(entry);
        entries_.reserve(entries_.size() + more);
    }
    if (texts_.size() + text_size > texts_.capacity()) {
        const std::size_t more = texts_.size() / 2 + kept_text_bytes_max;
        if (!budget_->take(more))
            return false;
        taken_ += more;
        texts_.reserve(texts_.size() + more);
    }
    return entries_.size() * 4 < slots_.size() * 3 || grow_slots();
}

std::size_t value_table::longest_walk() const noexcept {
    std::size_t longest = 0;
    for (const entry& e : entries_) {
        const std::size_t walk = slot_of(e.hash) - places_.first(e.hash, slots_.size());
        longest = std::max(longest, walk & (slots_.size() - 1));
    }
    return longest;
}

bool value_table::add(std::string_view text, std::uint64_t hash) {
    std::size_t at = slot_of(hash);
    if (slots_[at] != 0) {
        ++entries_[slots_[at] - 1u].count;
        return true;
    }
    const std::size_t kept = std::min(text.size(), kept_text_bytes_max);
    if (!make_room(kept))
        return false;
    at = slot_of(hash); // the slots may have moved
    entries_.push_back(
        {hash, 1, static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(kept)});
    texts_.append(text.substr(0, kept));
    slots_[at] = static_cast<std::uint16_t>(entries_.size());
    return true;
}

} // namespace showcase::reports
