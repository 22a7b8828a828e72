// redis_incoming: the messages that this process takes from Redis, from the take to the acknowledgement.
//
// Every message has a number here, which names its field in `unacked`; its tag is another number, which becomes void
// with the connection. After an outage what this process still holds in `unacked` is taken back under its own lease and
// delivered again with a new tag: other workers do not get it meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "jobs/broker/redis_restorer.hpp"
#include "jobs/broker/redis_watch.hpp"

namespace carillon::jobs::redis {

class incoming {
public:
    struct counters {
        counter &received, &acknowledged, &redelivered, &unreadable;
    };
    incoming(context& in, watch& changes, restorer& back, broker_events& told, counters counted)
        : in_(in), changes_(changes), back_(back), told_(told), counted_(counted) {}
    incoming(const incoming&) = delete;
    ~incoming() { stop(); }

    // All on the broker's thread.
    void consume(std::vector<std::string> queues, std::uint32_t prefetch);
    // whether it ever asked for messages
    bool has_taken() const noexcept { return next_number_ > 1; }
    void ack(std::uint64_t tag);
    void reject(std::uint64_t tag, bool requeue);
    void delay(std::uint64_t tag, utc_time until);
    void touch(const std::vector<std::uint64_t>& tags);

    void on_up();
    void on_down();
    // A list may hold something.
    void wake();
    // Takes no more, and puts everything back that is not acknowledged. `done` hears when it is there, or that some
    // of it may not be.
    void give_back(std::function<void(bool)> done);
    void stop();

    bool consuming() const noexcept { return !queues_.empty() && prefetch_ > 0; }
    // Why nothing is taken although it was asked for; empty: it is.
    const std::string& trouble() const noexcept { return trouble_; }

private:
    struct source {
        std::string name, entry_end;
    };
    struct held {
        std::uint64_t number = 0;
        std::string list; // the key that it came from
        std::string entry_end;
    };
    void later();
    void step();
    void send_acks();
    void take();
    void taken(std::uint64_t first, std::uint32_t asked, const std::vector<source>& from,
               result<wire::redis::reply> answer);
    void deliver(std::uint64_t number, const source& from, const std::string& element);
    void deliver(std::uint64_t number, std::string queue_name, std::string end,
                 wire::celery::envelope one, bool again);
    void drop(std::uint64_t number, std::string_view queue, std::string_view why);
    void lose(const std::vector<std::uint64_t>& numbers);
    void rest();
    void refused(const result<wire::redis::reply>& answer);
    void look_after(std::chrono::milliseconds pause);
    void reclaim();
    void reclaimed(const std::vector<std::uint64_t>& asked, result<wire::redis::reply> answer);
    void take_back(std::uint64_t number, const std::string& entry);
    void put_back(std::vector<std::uint64_t> numbers, std::function<void(bool)> done);
    std::optional<held> spend(std::uint64_t tag);
    std::vector<std::string> lists() const;
    std::size_t outstanding() const noexcept;
    std::vector<std::string> fields(const std::vector<std::uint64_t>& numbers) const;
    std::vector<std::string> unacked_keys() const;

    context& in_;
    watch& changes_;
    restorer& back_;
    broker_events& told_;
    counters counted_;

    std::vector<source> queues_; // the one to be served first in front
    std::uint32_t prefetch_ = 0;
    std::uint64_t next_number_ = 1, next_tag_ = 1;
    std::map<std::uint64_t, held> held_; // by tag
    std::unordered_map<std::uint64_t, std::uint64_t>
        void_tags_; // to their numbers, until they are taken back
    std::set<std::uint64_t> lost_, reclaiming_, returning_; // may be in `unacked`, without a tag
    std::vector<std::uint64_t> acks_;                       // numbers to be acknowledged
    std::uint32_t under_way_ = 0;                           // asked for by the take under way
    std::string trouble_;
    bool full_ = true; // the lists may hold something
    bool up_ = false, deferred_ = false, looking_ = false, stopped_ = false;
    bool giving_back_ = false;
    std::chrono::milliseconds pause_{0};
    std::optional<net::loop::timer_id> look_again_;
};

} // namespace carillon::jobs::redis
