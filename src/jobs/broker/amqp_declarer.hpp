// declarer: makes exchanges, queues and bindings on one channel of a connection, and looks at queues. What exists with
// other properties is used as it is; what has no permission to be made is used if it is there.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/broker/amqp_connection.hpp"
#include "jobs/broker/amqp_tables.hpp"
#include <carillon/base/log.hpp>
#include <carillon/base/result.hpp>

namespace carillon::jobs::amqp {

struct step {
    enum class what : std::uint8_t { exchange, queue, bind_queue, bind_exchange, look_at_queue };
    what kind = what::queue;
    std::string name;   // what is made, or bound
    std::string source; // of a binding: the exchange it gets messages from
    std::string key;    // of a binding; of an exchange: its type
    bool durable = true;
    bool auto_delete = false;
    bool optional = false; // goes on without it
    table arguments;
    // Told the outcome of a look, whatever it is.
    std::function<void(const reply&)> heard;
};

step exchange_step(std::string name, std::string type, bool durable = true);
step queue_step(std::string name, table arguments);
// A queue of this process alone: not durable, gone with its consumer.
step own_queue_step(std::string name, table arguments);
step bind_step(std::string queue, std::string exchange, std::string key);
step bind_exchange_step(std::string destination, std::string source, std::string key);
step look_step(std::string queue, std::function<void(const reply&)> heard);

// What was said once is not said again at each reconnection.
using said_before = std::set<std::string, std::less<>>;

class declarer final : public channel_events {
public:
    using told = std::function<void(const result<void>&)>;

    declarer(connection& through, std::uint16_t channel, logger& log, said_before& said)
        : through_(through), channel_(channel), log_(log), said_(said) {}
    declarer(const declarer&) = delete;

    void open() { through_.open_channel(channel_, *this); }
    // All steps in order; runs follow one another. `done` hears the first failure of a step that was not optional.
    // After a loss of the connection nothing is told.
    void run(std::vector<step> steps, told done);

private:
    struct batch {
        std::vector<step> steps;
        told done;
    };
    void send_from(std::size_t first);
    void send(const step& s, bool passive, connection::told done);
    void answered(std::size_t index, const reply& got);
    void refused(std::size_t index, const reply& got);
    void looked(std::size_t index, const reply& refusal, const reply& got);
    void skip(std::size_t index, const reply& why);
    void finish(const result<void>& outcome);

    connection& through_;
    const std::uint16_t channel_;
    logger& log_;
    said_before& said_;
    std::deque<batch> batches_; // the first one is under way
    std::uint64_t attempt_ = 0; // answers to earlier ones are not looked at
};

} // namespace carillon::jobs::amqp
