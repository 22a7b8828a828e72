#include "channels/redis/core_source.hpp"

#include <fmt/format.h>

namespace carillon::channels::redis {

namespace {

// Short, since a wait that nobody needs any more cannot be ended.
constexpr std::string_view block_seconds = "1";
constexpr std::chrono::seconds block_timeout{6};

net::redis::client_options popping() {
    net::redis::client_options options;
    options.role = "background";
    return options;
}

} // namespace

// One host's connection.
class core_intake::tap final : private net::redis::client_events {
public:
    tap(core_intake& of, std::size_t host, net::loop& on, net::redis::address where)
        : of_(of), host_(host),
          client_(std::make_unique<net::redis::client>(
              on, std::move(where), popping(), static_cast<net::redis::client_events&>(*this),
              of.log_, of.counted_.connections)) {
        client_->start();
    }

    void pop() {
        if (busy_ || !client_->up())
            return;
        busy_ = true;
        client_->send(
            {"BZPOPMIN", of_.key_, block_seconds},
            [this](result<wire::redis::reply> answer) { on_answer(std::move(answer)); },
            block_timeout);
    }

private:
    void on_up() noexcept override { of_.fetch(); }
    void on_down(const failure&) noexcept override {}
    void on_answer(result<wire::redis::reply> answer) {
        busy_ = false;
        if (!answer)
            return; // fetched again when it is connected again
        if (answer->is_error())
            return of_.broken_.warn(answer->text, of_.key_); // the next receive() tries again
        if (answer->items.size() == 3)
            of_.take(host_, std::move(answer->items[1].text), std::move(answer->items[2].text));
        of_.fetch();
    }

    core_intake& of_;
    const std::size_t host_;
    bool busy_ = false;
    std::unique_ptr<net::redis::client> client_;
};

core_intake::core_intake(std::string key, const wire::layer::message_codec& codec,
                         std::size_t bytes_max, logger& log, layer_counters& counted)
    : key_(std::move(key)), codec_(codec), bytes_max_(bytes_max), log_(log), counted_(counted),
      broken_(log, "a message of a background channel is dropped") {}

core_intake::~core_intake() = default;

void core_intake::start(net::loop& on, const std::vector<net::redis::address>& where,
                        const std::vector<std::unique_ptr<host>>& hosts) {
    loop_ = &on;
    hosts_ = &hosts;
    for (std::size_t index = 0; index < where.size(); ++index)
        taps_.push_back(std::make_unique<tap>(*this, index, on, where[index]));
}

void core_intake::close() {
    interrupt();
    taps_.clear();
    if (put_back_at_)
        loop_->cancel(*put_back_at_);
    put_back_at_.reset();
    put_back();
}

bool core_intake::wanted() {
    std::lock_guard lock(guard_);
    return waiting_ && !interrupted_ && kept_.empty();
}

void core_intake::fetch() {
    for (const auto& one : taps_)
        if (wanted())
            one->pop();
}

void core_intake::take(std::size_t from, std::string member, std::string score) {
    counted_.received.add();
    if (member.size() > bytes_max_) {
        counted_.too_large.add();
        return broken_.warn(fmt::format("{} bytes", member.size()), key_);
    }
    auto decoded = codec_.decode(member, std::chrono::floor<std::chrono::seconds>(utc_now()));
    if (!decoded || is_reserved_event_type(decoded->type)) {
        counted_.undecodable.add();
        return broken_.warn(decoded ? "its type is reserved" : decoded.error().message, key_);
    }
    {
        std::lock_guard lock(guard_);
        kept_.push_back({event(std::move(decoded->type), std::move(decoded->members)), from,
                         std::move(member), std::move(score)});
    }
    came_.notify_one();
    if (!put_back_at_)
        put_back_at_ = loop_->at(now() + keep_for, [this] {
            put_back_at_.reset();
            put_back();
        });
}

void core_intake::put_back() {
    std::deque<kept> unwanted;
    {
        std::lock_guard lock(guard_);
        unwanted.swap(kept_);
    }
    for (auto& one : unwanted)
        (*hosts_)[one.host]->put({made({"ZADD", key_, one.score, one.member}),
                                  [this, self = shared_from_this()](const order_end& end) {
                                      if (end.what != order_end::how::answered)
                                          counted_.unconfirmed.add();
                                  },
                                  false, 1, steady_time::max()});
}

std::optional<event> core_intake::receive(steady_time deadline, const std::function<void()>& ask) {
    std::unique_lock lock(guard_);
    if (kept_.empty() && !interrupted_) {
        waiting_ = true;
        lock.unlock();
        ask();
        lock.lock();
        came_.wait_until(lock, deadline, [&] { return interrupted_ || !kept_.empty(); });
        waiting_ = false;
    }
    if (interrupted_ || kept_.empty())
        return std::nullopt;
    auto next = std::move(kept_.front().e);
    kept_.pop_front();
    return next;
}

void core_intake::interrupt() {
    {
        std::lock_guard lock(guard_);
        interrupted_ = true;
    }
    came_.notify_all();
}

core_source::~core_source() {
    from_->interrupt();
    run_([from = from_] { from->close(); });
}

std::optional<event> core_source::receive(steady_time deadline) {
    return from_->receive(deadline, [this] { run_([from = from_] { from->fetch(); }); });
}

} // namespace carillon::channels::redis
