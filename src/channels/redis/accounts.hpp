// accounts: which events were accepted from senders and are neither confirmed nor given up yet.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include <carillon/base/clock.hpp>
#include <carillon/base/metrics.hpp>

namespace carillon::channels::redis {

// Thread-safe. Outlives its tickets.
class accounts {
public:
    // The accepted event's place; given back when it ends.
    class ticket {
    public:
        ticket(ticket&& other) noexcept
            : of_(std::exchange(other.of_, nullptr)), number_(other.number_), bytes_(other.bytes_) {
        }
        ticket& operator=(ticket&& other) noexcept {
            std::swap(of_, other.of_);
            std::swap(number_, other.number_);
            std::swap(bytes_, other.bytes_);
            return *this;
        }
        ~ticket() {
            if (of_)
                of_->finish(number_, bytes_);
        }

    private:
        friend class accounts;
        ticket(accounts* of, std::uint64_t number, std::size_t bytes)
            : of_(of), number_(number), bytes_(bytes) {}
        accounts* of_;
        std::uint64_t number_;
        std::size_t bytes_;
    };

    // `gauge` shows how many events are open.
    accounts(std::uint32_t events_max, std::size_t bytes_max, counter& gauge)
        : events_max_(events_max), bytes_max_(bytes_max), gauge_(gauge) {}

    // Nothing when a limit is reached. One event alone may be larger than the limit of bytes.
    std::optional<ticket> accept(std::size_t bytes);
    // An event was given up: the next flush() fails.
    void lost() noexcept;
    // Waits until all that was accepted before the call has ended. False at the deadline, or when something was lost
    // since the last flush().
    bool flush(steady_time deadline);

private:
    void finish(std::uint64_t number, std::size_t bytes);

    const std::uint32_t events_max_;
    const std::size_t bytes_max_;
    counter& gauge_;
    std::mutex guard_;
    std::condition_variable moved_;
    std::uint64_t first_ = 0;  // number of the oldest open event
    std::deque<bool> open_;    // from first_ on; false for those that have ended
    std::uint32_t events_ = 0; // open ones
    std::size_t bytes_ = 0;
    bool lost_ = false;
};

} // namespace carillon::channels::redis
