// One question to one server, on a loop of its own.
#include <optional>
#include <utility>

#include "net/redis/client.hpp"
#include "net/redis/connector.hpp"

namespace carillon::net::redis {

class question final : private connector_events, private link_events {
public:
    question(const address& where, const wire::redis::command& what,
             std::chrono::milliseconds timeout, interruption* by)
        : what_(what), timeout_(timeout), by_(by), connector_(loop_, where, timeout, *this) {}
    ~question() {
        if (link_)
            link_->close();
    }

    result<wire::redis::reply> answer() {
        if (!listen_to(&loop_))
            return interrupted();
        connector_.start(false); // its own time ends first, and it knows what is missing
        loop_.at(now() + timeout_, [this] {
            over(failure{errc::timed_out, "Redis did not answer in time"});
        });
        if (!told_)
            loop_.run();
        listen_to(nullptr);
        return told_ ? std::move(*told_) : interrupted();
    }

private:
    void on_connected(std::shared_ptr<link> made, const std::string&) noexcept override {
        link_ = std::move(made);
        link_->attend(*this);
        link_->write(what_.bytes());
    }
    void on_refused(const failure& why) noexcept override { over(why); }
    void on_open() noexcept override {}
    void on_reply(wire::redis::reply got) noexcept override { over(std::move(got)); }
    void on_lost(const failure& why) noexcept override { over(why); }

    static failure interrupted() { return {errc::cancelled, "nobody waits for Redis any more"}; }
    // False where this was interrupted already.
    bool listen_to(loop* asking) {
        if (!by_)
            return true;
        std::lock_guard lock(by_->guard_);
        by_->asking_ = asking;
        return !by_->interrupted_;
    }

    void over(result<wire::redis::reply> with) {
        if (!told_)
            told_.emplace(std::move(with));
        loop_.stop();
    }

    loop loop_;
    const wire::redis::command& what_;
    const std::chrono::milliseconds timeout_;
    interruption* const by_;
    connector connector_;
    std::shared_ptr<link> link_;
    std::optional<result<wire::redis::reply>> told_;
};

void interruption::interrupt() {
    std::lock_guard lock(guard_);
    interrupted_ = true;
    if (asking_)
        asking_->stop();
}

result<wire::redis::reply> ask(const address& where, const wire::redis::command& what,
                               std::chrono::milliseconds timeout, interruption* by) {
    return question(where, what, timeout, by).answer();
}

} // namespace carillon::net::redis
