// result_store: where the states and results of jobs are kept for whoever asked for them, in Celery's forms.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/celery/result.hpp"
#include "wire/celery/signature.hpp"
#include <carillon/base/clock.hpp>
#include <carillon/base/log.hpp>
#include <carillon/base/metrics.hpp>
#include <carillon/base/result.hpp>

namespace carillon::jobs {

class broker;

struct result_options {
    std::string url;                          // redis:// and its kin, rpc://, none:
    std::chrono::seconds expires{86'400};     // Celery's result_expires; zero: never
    std::string keyprefix;                    // Redis: Celery's global_keyprefix of results
    std::size_t result_bytes_max = 16u << 20; // of what is read
    std::chrono::milliseconds timeout{
        10'000}; // for an operation while the store is away; then errc::unavailable
};

// Thread-safe. Nothing waits; outcomes are told once, on a thread of the store, also at its end (errc::cancelled).
class result_store {
public:
    virtual ~result_store() = default;
    using told = std::function<void(const result<void>&)>;
    using record = wire::celery::result_record;

    // Stores and announces it. Nothing replaces SUCCESS (wire::celery::may_replace). `reply_to` and `correlation_id`
    // are those of the task's message: rpc sends there, and does nothing when reply_to is empty.
    virtual void put(record what, std::string reply_to, std::string correlation_id, told done) = 0;
    // Nothing where the id is unknown, as Celery's PENDING.
    virtual void get(std::string id,
                     std::function<void(const result<std::optional<record>>&)> told) = 0;
    // Calls `heard` for the stored record, if there is one, and for each that follows, until forget(). To be called
    // before the task is sent; `ready` is called when nothing can be missed any more, or with why not: then nothing is
    // watched. The same record may be heard twice, after an outage; of states that follow each other quickly, the last
    // is heard.
    virtual void watch(std::string id, std::function<void(const record&)> heard, told ready) = 0;
    virtual void forget(std::string id) = 0;
    // What the reply queue is called, for the messages that this process sends; empty where none is needed.
    virtual std::string reply_to() = 0;

    // Where the replies of an rpc store arrive at its broker: what on_reply() heard. Nothing elsewhere.
    virtual void rpc_received(wire::celery::message_parts reply) { static_cast<void>(reply); }

    // Chords (Redis only; elsewhere errc::unavailable): stores the count of members; adds one member's outcome and
    // gives the members in order when it was the last one, once for all who ask. The keys stay until forget_chord(),
    // which is to be called when the body was sent: the member that completed the chord is told so again when it runs
    // again, since its worker may have died in between. A member that comes twice counts once, with its first outcome.
    virtual void put_chord_size(wire::celery::chord_size size, told done) = 0;
    virtual void add_chord_part(
        wire::celery::chord_part part,
        std::function<void(const result<std::optional<std::vector<std::string>>>&)> told) = 0;
    virtual void forget_chord(std::string group_id, told done) = 0;

    // Unique jobs (Redis only): sets the key to the id for that long unless it is there; tells whose it is then.
    virtual void claim_unique(std::string key, std::string id, std::chrono::seconds life,
                              std::function<void(const result<std::string>&)> holder) = 0;
    // Only if the id still holds it.
    virtual void release_unique(std::string key, std::string id, told done) = 0;

    virtual result<void> status() const = 0;
    virtual const std::string& name() const noexcept = 0; // without secrets
};

// `through` carries rpc replies; it may be null for other URLs. It and its thread outlive the store. For rpc, whoever
// owns the broker passes on_reply() messages to rpc_received().
result<std::unique_ptr<result_store>> open_results(const result_options& options, broker* through,
                                                   logger& log, metrics& counted);

} // namespace carillon::jobs
