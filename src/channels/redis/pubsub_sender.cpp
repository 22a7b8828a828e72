#include "channels/redis/pubsub_sender.hpp"

#include <utility>

namespace carillon::channels::redis {

publication::~publication() { end(failure{errc::unavailable, "the channel layer has stopped"}); }

void publication::end(const result<delivery>& how) {
    if (const auto told = std::exchange(told_, nullptr))
        told(how);
    place_.reset();
}

pubsub_sender::pubsub_sender(const std::vector<std::unique_ptr<host>>& on, registry* heard,
                             accounts& book, logger& log, layer_counters& counted)
    : hosts_(on), heard_(heard), book_(book), counted_(counted),
      failed_(log, "the channel layer's server refuses an event") {}

bool pubsub_sender::reaches_us(const std::string& topic) {
    return !heard_ || heard_->reached(topic, [this, topic] { resume(topic); });
}

void pubsub_sender::send(publication_ptr what) {
    if (const auto before = held_.find(what->topic); before != held_.end())
        before->second.push_back(std::move(what));
    else if (reaches_us(what->topic))
        put(std::move(what));
    else
        held_[what->topic].push_back(std::move(what));
}

// Somebody else may have joined meanwhile, after the last member had left.
void pubsub_sender::resume(const std::string& topic) {
    if (!held_.contains(topic) || !reaches_us(topic))
        return;
    auto freed = held_.extract(topic);
    for (auto& one : freed.mapped())
        put(std::move(one));
}

void pubsub_sender::put(publication_ptr what) {
    auto& to = *hosts_[what->host];
    order one;
    one.make = [what] { return wire::redis::command{"PUBLISH", what->topic, what->payload}; };
    one.done = [this, what](const order_end& end) { settle(*what, end); };
    one.events = 1;
    one.needs_others = true;
    one.expires = what->expires;
    to.put(std::move(one));
}

void pubsub_sender::settle(publication& what, const order_end& end) {
    using how = order_end::how;
    if (end.what == how::answered && !end.answer.is_error())
        return what.end(delivery{static_cast<std::uint32_t>(end.answer.number), 0});
    book_.lost();
    (end.what == how::unconfirmed ? counted_.unconfirmed : counted_.unavailable).add();
    if (end.what != how::answered)
        return what.end(end.why);
    failed_.warn(end.answer.text, what.topic);
    what.end(failure{errc::unavailable, end.answer.text});
}

void pubsub_sender::end() {
    for (auto& [topic, held] : std::exchange(held_, {}))
        for (const auto& one : held) {
            order_end end;
            end.why = {errc::unavailable, "the channel layer has stopped"};
            settle(*one, end);
        }
}

} // namespace carillon::channels::redis
