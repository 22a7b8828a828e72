#include "jobs/broker/rpc_results.hpp"

#include <map>
#include <mutex>
#include <utility>

#include "jobs/broker/broker.hpp"
#include "net/io_thread.hpp"

namespace carillon::jobs {

namespace {

// What both have in common: nothing is stored.
class storeless : public result_store {
public:
    explicit storeless(std::string name) : name_(std::move(name)) { thread_.start(); }

    void put_chord_size(wire::celery::chord_size, told done) override { refuse(std::move(done)); }
    void add_chord_part(wire::celery::chord_part,
                        std::function<void(const result<std::optional<std::vector<std::string>>>&)>
                            heard) override {
        refuse(std::move(heard));
    }
    void forget_chord(std::string, told done) override { refuse(std::move(done)); }
    void claim_unique(std::string, std::string, std::chrono::seconds,
                      std::function<void(const result<std::string>&)> holder) override {
        refuse(std::move(holder));
    }
    void release_unique(std::string, std::string, told done) override { refuse(std::move(done)); }
    result<void> status() const override { return {}; }
    const std::string& name() const noexcept override { return name_; }

protected:
    template <class F>
    void post(F work) {
        thread_.events().post(std::move(work));
    }
    // Nothing is called afterwards.
    void end() {
        thread_.run([] {}); // what was posted before
        thread_.stop();
    }

private:
    template <class F>
    void refuse(F heard) {
        post([this, heard = std::move(heard)] {
            heard(
                failure{errc::unavailable,
                        name_ + " keeps nothing: chords and unique jobs need results in redis://"});
        });
    }
    const std::string name_;
    net::io_thread thread_;
};

class no_results final : public storeless {
public:
    no_results() : storeless("none:") {}
    ~no_results() override { end(); }
    void put(record, std::string, std::string, told done) override {
        post([done = std::move(done)] { done({}); });
    }
    void get(std::string,
             std::function<void(const result<std::optional<record>>&)> heard) override {
        post([heard = std::move(heard)] { heard(std::optional<record>()); });
    }
    void watch(std::string, std::function<void(const record&)>, told ready) override {
        post([ready = std::move(ready)] {
            ready(failure{errc::unavailable, "results are not kept (none:)"});
        });
    }
    void forget(std::string) override {}
    std::string reply_to() override { return {}; }
};

class rpc_results final : public storeless {
public:
    rpc_results(const result_options& options, broker& through, logger& log)
        : storeless("rpc://"), options_(options), broker_(through), log_(log),
          reply_to_(through.reply_queue()) {}
    ~rpc_results() override { end(); }

    void put(record what, std::string reply_to, std::string correlation_id, told done) override;
    void get(std::string id,
             std::function<void(const result<std::optional<record>>&)> heard) override;
    void watch(std::string id, std::function<void(const record&)> heard, told ready) override;
    void forget(std::string id) override {
        post([this, id = std::move(id)] { watched_.erase(id); });
    }
    std::string reply_to() override { return reply_to_; }
    void rpc_received(wire::celery::message_parts reply) override;

private:
    struct watched {
        std::vector<std::function<void(const record&)>> all;
        std::optional<record> last;
    };
    void hear(const record& what);

    const result_options options_;
    broker& broker_;
    logger& log_;
    const std::string reply_to_;
    std::map<std::string, watched> watched_; // on the store's thread
};

void rpc_results::put(record what, std::string reply_to, std::string correlation_id, told done) {
    result<void> outcome;
    if (!reply_to.empty()) {
        auto reply = wire::celery::rpc_reply(what, correlation_id);
        if (reply)
            broker_.emit("", std::move(reply_to), *std::move(reply));
        else
            outcome = reply.error();
    }
    post([done = std::move(done), outcome = std::move(outcome)] { done(outcome); });
}

void rpc_results::get(std::string id,
                      std::function<void(const result<std::optional<record>>&)> heard) {
    post([this, id = std::move(id), heard = std::move(heard)] {
        const auto found = watched_.find(id);
        heard(found == watched_.end() ? std::optional<record>() : found->second.last);
    });
}

// The queue is declared before anything that is sent later: nothing can be missed.
void rpc_results::watch(std::string id, std::function<void(const record&)> heard, told ready) {
    post([this, id = std::move(id), heard = std::move(heard), ready = std::move(ready)]() mutable {
        auto& one = watched_[id];
        if (one.last)
            heard(*one.last);
        one.all.push_back(std::move(heard));
        ready({});
    });
}

void rpc_results::rpc_received(wire::celery::message_parts reply) {
    post([this, reply = std::move(reply)] {
        if (reply.body.size() > options_.result_bytes_max)
            return log_.error(
                "a result is larger than is read",
                {{"bytes", reply.body.size()}, {"at_most", options_.result_bytes_max}});
        const auto read = wire::celery::decode_result(reply.body);
        if (!read)
            return log_.warning("a result cannot be read", {{"why", read.error().message}});
        hear(*read);
    });
}

void rpc_results::hear(const record& what) {
    const auto found = watched_.find(what.task_id);
    if (found == watched_.end())
        return;
    // A late duplicate changes nothing.
    if (found->second.last && found->second.last->status == wire::celery::state::success)
        return;
    found->second.last = what;
    const auto all = found->second.all; // any of them may forget it
    for (const auto& heard : all)
        heard(what);
}

} // namespace

std::unique_ptr<result_store> make_rpc_results(const result_options& options, broker& through,
                                               logger& log) {
    return std::make_unique<rpc_results>(options, through, log);
}

std::unique_ptr<result_store> make_no_results() { return std::make_unique<no_results>(); }

} // namespace carillon::jobs
