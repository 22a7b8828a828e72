// The other side of remote control: asks the nodes of a broker, of whatever language, and collects the answers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <carillon/base/result.hpp>

#include "jobs/broker/broker.hpp"
#include "jobs/control/lamport_clock.hpp"
#include "wire/celery/control.hpp"

namespace carillon::jobs {

// Which nodes are asked: all, those that are named, those whose name matches the pattern (as in a shell).
struct control_target {
    std::optional<std::vector<std::string>> nodes;
    std::string pattern;
};
inline constexpr std::size_t control_replies_max = 10'000;

// Thread-safe. For a process that has a broker already.
class controller {
public:
    // Both outlive the controller; the broker was started.
    controller(broker& through, lamport_clock& clock) : broker_(through), clock_(clock) {}

    // From broker_events::on_reply(). False when it answers none of the questions that wait here.
    bool on_reply(const wire::celery::message_parts& parts) noexcept;

    // Blocks for `patience`, or until every node has answered whose name was given. Answers come in their order; a node
    // that says nothing in time is missing.
    std::vector<wire::celery::control_reply> ask(std::string method, object arguments,
                                                 control_target target,
                                                 std::chrono::milliseconds patience);
    // Asks for no answer and returns at once.
    void tell(std::string method, object arguments, control_target target);

private:
    wire::celery::control_request request_of(std::string method, object arguments,
                                             control_target target);
    void send(const wire::celery::control_request& request);

    broker& broker_;
    lamport_clock& clock_;
    std::mutex guard_;
    std::condition_variable came_;
    std::map<std::string, std::vector<wire::celery::control_reply>> asked_; // by ticket
};

// What a node answered, or why it did not understand or refused.
template <class T>
using node_answer = std::pair<std::string, result<T>>;
template <class T>
using node_answers = std::vector<node_answer<T>>; // by name

// A broker of its own for a tool that asks and ends. Blocks in each call; one thread.
class control_console {
public:
    // Waits until the broker is there; errc::unavailable, with why, when it is not in that time.
    static result<std::unique_ptr<control_console>>
    open(std::unique_ptr<broker> through, std::chrono::milliseconds connect_patience);
    ~control_console();

    control_target target;
    std::chrono::milliseconds patience{1'000}; // Celery's -t

    std::vector<std::string> ping(); // names of the nodes that are there
    node_answers<std::vector<wire::celery::request_info>> active();
    node_answers<std::vector<std::string>> registered();
    node_answers<wire::celery::worker_stats> stats();
    node_answers<std::vector<wire::celery::queue_info>> queues();
    // What each node says it did, in its words.
    node_answers<std::string> revoke(const std::vector<std::string>& ids, bool terminate);
    node_answers<std::string> control(std::string method, object arguments);
    // Any command, the answers as they came.
    node_answers<value> ask(std::string method, object arguments = {});

private:
    class impl;
    explicit control_console(std::unique_ptr<impl> owned);
    std::unique_ptr<impl> impl_;
};

} // namespace carillon::jobs
