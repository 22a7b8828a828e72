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
    if (pause_)
        loop_.cancel(*pause_);
}

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
        const auto fitting = std::clamp<std::size_t>(batch_bytes / largest_, 1, batch_max);
        const auto reserved = allowance_.reserve(fitting);
        // Alone it would have every member's connection written to, and those behind it once more.
        if (grouped_ && reserved > 0)
            held_ = std::move(answer->items[1].text);
        else
            take(answer->items[1].text);
        if (reserved > 0)
            ask_for_more(reserved);
    }
    read();
}

// What gathered meanwhile comes in one piece, in one round trip with the next wait.
void core_reader::ask_for_more(std::size_t reserved) {
    wire::redis::command more{"ZPOPMIN", key_};
    more.add(static_cast<std::int64_t>(reserved));
    client_->send(more, [this, reserved](result<wire::redis::reply> got) {
        on_more(reserved, std::move(got));
    });
}

void core_reader::on_more(std::size_t reserved, result<wire::redis::reply> answer) {
    if (held_)
        take(*std::exchange(held_, std::nullopt));
    std::size_t came = 0;
    if (answer)
        for (std::size_t i = 0; i + 1 < answer->items.size() && came < reserved; i += 2, ++came)
            take(answer->items[i].text);
    grouped_ = came > 0;
    allowance_.unreserve(reserved - came);
}

// Takes one reserved place.
void core_reader::take(std::string_view message) {
    counted_.received.add();
    largest_ = std::max({message.size(), largest_ / 2, std::size_t{1}});
    tell_.take(message,
               allowance_.share(message.size() / redis_layer_options::undelivered_unit_bytes));
}

void core_reader::pause(std::string_view why) {
    failed_.warn(why, key_);
    pause_ = loop_.at(now() + error_pause, [this] {
        pause_.reset();
        read();
    });
}

} // namespace carillon::channels::redis
