#include "jobs/broker/redis_restorer.hpp"

#include <memory>
#include <utility>

#include "wire/celery/parts.hpp"

namespace carillon::jobs::redis {

namespace {

struct round {
    std::size_t left;
    result<void> outcome;
    broker::told done;
};

} // namespace

void restorer::put_back(const std::vector<remembered>& all, broker::told done) {
    if (all.empty())
        return in_.loop.defer([done = std::move(done)] { done({}); });
    auto common = std::make_shared<round>(round{all.size(), {}, std::move(done)});
    for (const auto& one : all)
        put_back(one, [this, common](const result<wire::redis::reply>& answer) {
            if (!answer || answer->is_error())
                common->outcome = why_not(answer);
            else if (answer->number == 1)
                restored_.add();
            if (--common->left == 0)
                common->done(common->outcome);
        });
}

void restorer::put_back(const remembered& one, net::redis::client::told done) {
    auto entry = wire::celery::decode_unacked(one.entry);
    std::string exchange, routing_key, suffix, why;
    if (entry) {
        exchange = std::move(entry->exchange);
        routing_key = std::move(entry->routing_key);
        suffix = in_.keys.suffix(
            wire::celery::at(entry->delivered.parts.properties, "priority").to_int());
    }
    auto element = entry ? wire::celery::restored_element(std::move(entry->delivered))
                         : result<std::string>(entry.error());
    if (!element) {
        in_.log.error("an unacknowledged message cannot be read and is set aside",
                      {{"list", in_.keys.unreadable}, {"why", element.error().message}});
        return in_.lua.set_aside.run(
            in_.commands,
            {in_.keys.celery.unacked(), in_.keys.celery.unacked_index(), in_.keys.unreadable},
            {one.field}, std::move(done));
    }
    std::vector<std::string> keys{in_.keys.celery.unacked(), in_.keys.celery.unacked_index()};
    if (!exchange.empty())
        keys.push_back(in_.keys.celery.binding(exchange));
    in_.lua.restore.run(in_.commands, std::move(keys),
                        {one.field, one.score, std::string(separator), std::move(routing_key),
                         in_.keys.prefix, std::move(suffix), *std::move(element)},
                        std::move(done));
}

std::vector<remembered> read_remembered(wire::redis::reply& answer) {
    std::vector<remembered> out;
    for (std::size_t i = 0; i + 2 < answer.items.size(); i += 3)
        out.push_back({std::move(answer.items[i].text), std::move(answer.items[i + 1].text),
                       std::move(answer.items[i + 2].text)});
    return out;
}

} // namespace carillon::jobs::redis
