#include "channels/redis/core_reader.hpp"

#include <algorithm>
#include <utility>

#include "channels/redis/redis_layer.hpp"

namespace carillon::channels::redis {

namespace {

constexpr std::string_view block_seconds = "5";
// The server's own wait, and as much again for a slow one.
constexpr std::chrono::seconds block_timeout{10};
constexpr std::size_t batch_max = 200;
constexpr std::size_t batch_bytes = 4u << 20; // about so much comes in one piece
// A group that is smaller than those before it is waited for as long, where an event goes to so many consumers that
// writing to their connections once more would take as long (4 us each).
constexpr std::chrono::milliseconds patience{2};
constexpr std::int64_t reach_min = 500;
// After a burst it is forgotten step by step how large groups were: an eighth for each.
constexpr std::size_t forgotten = 8;
constexpr std::size_t enough = 32;        // more in one write save little
constexpr std::int64_t reach_window = 64; // messages
constexpr std::chrono::seconds error_pause{1};

net::redis::client_options reading() {
    net::redis::client_options options;
    options.role = "reading";
    return options;
}

} // namespace

core_reader::core_reader(net::loop& on, net::redis::address where, std::string key,
                         credits& allowance, handlers tell, logger& log, layer_counters& counted)
    : loop_(on), key_(std::move(key)), allowance_(allowance), tell_(std::move(tell)),
      counted_(counted), failed_(log, "the own queue cannot be read"),
      client_(std::make_unique<net::redis::client>(on, std::move(where), reading(),
                                                   static_cast<net::redis::client_events&>(*this),
                                                   log, counted.connections)) {}

core_reader::~core_reader() {
    client_.reset();
    end_group(); // nobody else has them
    if (pause_)
        loop_.cancel(*pause_);
}

bool core_reader::gathers() const noexcept { return expected_ > 1 && reach_ >= reach_min; }

void core_reader::read() {
    if (waiting_ || pause_ || !client_->up() || allowance_.reserve(1) == 0)
        return;
    waiting_ = true;
    client_->send(
        {"BZPOPMIN", key_, block_seconds},
        [this](result<wire::redis::reply> answer) { on_first(std::move(answer)); }, block_timeout);
}

void core_reader::on_first(result<wire::redis::reply> answer) {
    waiting_ = false;
    const bool came = answer && answer->items.size() == 3;
    if (!came)
        allowance_.unreserve(1);
    if (!answer)
        return; // reading goes on when the connection is there again
    if (answer->is_error())
        return pause(answer->text);
    if (came) {
        hold(std::move(answer->items[1].text));
        if (!gathers())
            give();
        ask_for_more();
    }
    read();
}

// What gathered meanwhile comes in one piece, in one round trip with the next wait.
void core_reader::ask_for_more() {
    const auto fitting = std::clamp<std::size_t>(batch_bytes / largest_, 1, batch_max);
    const auto reserved = allowance_.reserve(fitting);
    if (reserved == 0)
        return end_group();
    wire::redis::command more{"ZPOPMIN", key_};
    more.add(static_cast<std::int64_t>(reserved));
    client_->send(more, [this, reserved](result<wire::redis::reply> answer) {
        on_more(reserved, std::move(answer));
    });
}

void core_reader::on_more(std::size_t reserved, result<wire::redis::reply> answer) {
    std::size_t came = 0;
    if (answer)
        for (std::size_t i = 0; i + 1 < answer->items.size() && came < reserved; i += 2, ++came)
            hold(std::move(answer->items[i].text));
    allowance_.unreserve(reserved - came);
    if (!answer || !gathers() || 4 * group_ >= 3 * expected_)
        return end_group();
    if (!patience_)
        patience_ = loop_.at(now() + patience, [this] {
            patience_.reset();
            end_group();
        });
}

// Takes one reserved place.
void core_reader::hold(std::string message) {
    counted_.received.add();
    largest_ = std::max({message.size(), largest_ / 2, std::size_t{1}});
    held_.push_back(std::move(message));
    ++group_;
}

void core_reader::give() {
    for (const auto& message : held_)
        tell_.take(message,
                   allowance_.share(message.size() / redis_layer_options::undelivered_unit_bytes));
    held_.clear();
}

void core_reader::end_group() {
    if (patience_)
        loop_.cancel(*std::exchange(patience_, std::nullopt));
    give();
    const auto remembered = expected_ - (expected_ + forgotten - 1) / forgotten;
    expected_ = std::min(std::max(group_, remembered), enough);
    group_ = 0;
    look_at_reach();
}

void core_reader::look_at_reach() {
    const auto received = counted_.received.get(), delivered = tell_.delivered();
    if (received - received_then_ < reach_window)
        return;
    reach_ = (delivered - delivered_then_) / (received - received_then_);
    received_then_ = received;
    delivered_then_ = delivered;
}

void core_reader::pause(std::string_view why) {
    failed_.warn(why, key_);
    pause_ = loop_.at(now() + error_pause, [this] {
        pause_.reset();
        read();
    });
}

} // namespace carillon::channels::redis
