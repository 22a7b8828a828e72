// core_sender: the way of an event to the queues of the core layer: looked up, written, told.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channels/redis/accounts.hpp"
#include "channels/redis/core_names.hpp"
#include "channels/redis/counters.hpp"
#include "channels/redis/host.hpp"
#include "wire/layer/message.hpp"

namespace carillon::channels::redis {

// An event on its way.
struct core_event {
    core_event(wire::layer::packed_event packed_, accounts::ticket place_)
        : packed(std::move(packed_)), place(std::move(place_)) {}
    core_event(core_event&& other) noexcept
        : packed(std::move(other.packed)), place(std::move(other.place)),
          name(std::move(other.name)), to_group(other.to_group),
          told(std::exchange(other.told, nullptr)), expires(other.expires) {}
    // Whoever has not been told by now is told that the layer has stopped.
    ~core_event();
    wire::layer::packed_event packed;
    std::optional<accounts::ticket> place;
    std::string name;
    bool to_group = false;
    delivery_told told; // may be empty
    steady_time expires = steady_time::max();
};

// On the I/O thread. Events leave in the order of calls, also those that have to be looked up: what comes later waits
// for the look-ups of what came earlier. What needs a host that is away is a line of its own, in order too, so that the
// rest goes on. Scores of this process grow by a microsecond at least.
class core_sender {
public:
    using hosts = std::vector<std::unique_ptr<host>>;
    // All outlive the sender.
    core_sender(const redis_layer_options& options, const core_names& names,
                const wire::layer::message_codec& codec, const hosts& on, accounts& book,
                logger& log, layer_counters& counted);

    void send(core_event what);
    // Before a host's orders are released: the script is there then.
    void load_script(host& of);
    void on_lost(const host& of);
    void on_settled(const host& of) { lost_[of.index()] = false; }

private:
    struct bucket {
        std::string queue;              // non-local name
        std::vector<std::string> names; // whole names
    };
    struct part {
        std::size_t host = 0;
        std::vector<bucket> buckets;
    };
    struct job {
        explicit job(core_event e) : what(std::move(e)) {}
        core_event what;
        std::int64_t score = 0; // microseconds
        std::size_t needs = 0; // the host that is asked for the members, or that gets a direct send
        bool answered = false; // the members are known, or need not be
        std::size_t line = 0;  // in which it stands
        std::vector<part> parts;
        std::size_t parts_left = 0;
        delivery outcome;
        std::optional<failure> why;
        bool sent = false; // what failed may have been done
    };
    using job_ptr = std::shared_ptr<job>;

    std::int64_t next_score();
    void look_up(const job_ptr& one);
    void on_members(const job_ptr& one, const order_end& end);
    void sort_members(job& one, const wire::redis::reply& members) const;
    void aim(job& one);
    std::size_t next_host();
    void line_up(const job_ptr& one);
    void advance(std::size_t line);
    void write(const job_ptr& one);
    void put_part(const job_ptr& one, std::size_t index);
    wire::redis::command write_command(const job& one, const part& to) const;
    void on_written(const job_ptr& one, std::size_t index, const order_end& end);
    void refuse(job& one, std::string why);
    void finish(job& one);

    const redis_layer_options& options_;
    const core_names& names_;
    const wire::layer::message_codec& codec_;
    const hosts& hosts_;
    accounts& book_;
    layer_counters& counted_;
    seldom full_, failed_;
    // Events that may not be written yet: for each host those that needed it while it was away, then all others.
    std::vector<std::deque<job_ptr>> lines_;
    std::vector<bool> lost_; // by host, until it has settled
    std::int64_t last_score_ = 0;
    std::size_t turn_ = 0; // of the round robin
    std::string script_name_;
    std::vector<bool> has_script_; // by host
};

} // namespace carillon::channels::redis
