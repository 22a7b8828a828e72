#include "jobs/broker/redis_context.hpp"

#include <algorithm>
#include <array>

#include "wire/celery/json.hpp"

namespace carillon::jobs::redis {

namespace {

wire::celery::redis_names::options names_of(const broker_options& options, std::uint32_t database) {
    wire::celery::redis_names::options out;
    out.keyprefix = options.keyprefix;
    out.separator = separator;
    out.database = database;
    return out;
}

} // namespace

key_names::key_names(const broker_options& options, std::uint32_t database)
    : celery(names_of(options, database)), prefix(options.keyprefix),
      delayed(prefix + "carillon:delayed"), delayed_counts(delayed + ":counts"),
      holders(prefix + "carillon:holders"), publishers(prefix + "carillon:publishers"),
      unreadable(prefix + "carillon:unreadable") {}

std::string key_names::suffix(std::int64_t priority) const {
    return celery.queue("", priority).substr(prefix.size());
}

std::string entry_end(std::string_view queue) {
    return ", \"\", " + wire::celery::write_json(queue) + "]";
}

failure why_not(const result<wire::redis::reply>& answer) {
    if (!answer)
        return answer.error();
    return {errc::unavailable, "Redis refuses: " + answer->text};
}

bool may_pass(const wire::redis::reply& error) noexcept {
    // Servers before Redis 7 put the reason of a script's error behind other words.
    constexpr std::array<std::string_view, 8> reasons{
        "OOM", "MISCONF", "BUSY", "LOADING", "NOREPLICAS", "READONLY", "TRYAGAIN", "MASTERDOWN"};
    return error.is_error() && std::ranges::any_of(reasons, [&](std::string_view one) {
               return error.text.find(one) != std::string::npos;
           });
}

} // namespace carillon::jobs::redis
