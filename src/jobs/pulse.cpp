#include "jobs/pulse.hpp"

#include <fmt/format.h>

namespace carillon::jobs {

void pulse::note_trouble(std::string why) {
    std::lock_guard lock(guard_);
    trouble_ = std::move(why);
}

void pulse::end_round(bool well) {
    std::lock_guard lock(guard_);
    ended_ = now();
    if (!well)
        return;
    well_ = ended_;
    trouble_.clear();
}

std::string pulse::trouble() const {
    std::lock_guard lock(guard_);
    return trouble_;
}

result<void> pulse::state(std::string_view failing, std::string_view silent) const {
    std::lock_guard lock(guard_);
    const auto at = now();
    if (!trouble_.empty() && at - well_ > limits_.failing_max)
        return failure{errc::unavailable, fmt::format("{}: {}", failing, trouble_)};
    if (at - ended_ > limits_.silent_max)
        return failure{errc::unavailable, std::string(silent)};
    return {};
}

} // namespace carillon::jobs
