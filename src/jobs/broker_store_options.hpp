// What can be set of a broker_store; job_queue_options are what users see of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "jobs/control/newest_ids.hpp"

namespace carillon::jobs {

struct broker_store_options {
    std::string default_queue = "celery"; // of tasks that nobody here has registered
    std::size_t message_bytes_max = 1 << 20;
    // A message whose time comes within hold_max waits here; one whose time is later, and all above held_max, in the
    // broker's store.
    std::chrono::minutes hold_max{10};
    std::size_t held_max = 10'000;
    // Messages that wait for a place of a concurrency limit wait here, at most so many, for hold_max at most; then in
    // the broker's store.
    std::size_t limited_max = 2'000;
    std::map<std::string, std::uint32_t> queue_limits; // job_queue_options has them
    std::chrono::milliseconds place_life{15'000};      // as the ledger has it
    newest_ids::limits revoked = revoked_limits;       // ids that are remembered as revoked
    std::size_t sent_max = 50'000;                     // jobs of this process that are remembered
    std::size_t reply_bytes_max = 64u << 20; // of their results, where those come as replies
    // Deliveries in hand are shown to be alive that often.
    std::chrono::milliseconds touch_interval{60'000};
    std::chrono::seconds unique_life{
        86'400}; // a unique key is free again after this time, whatever happens
    std::chrono::milliseconds retry_pause{
        500}; // before an end that could not be stored is tried again
    std::chrono::milliseconds deaf_after{
        15'000}; // ping() fails when no work could be taken for so long
};

} // namespace carillon::jobs
