#include "jobs/broker/held_messages.hpp"

#include "wire/celery/json.hpp"

namespace carillon::jobs {

void held_messages::add(utc_time eta, std::string id, const delivery& received) {
    packed p{std::move(id), received.tag, received.redelivered, {}, received.parts.body};
    p.text =
        wire::celery::write_json(array{received.parts.headers, received.parts.properties,
                                       received.queue, received.exchange, received.routing_key});
    p.text.shrink_to_fit();
    by_eta_.emplace(eta, std::move(p));
}

delivery held_messages::unpack(const packed& p) {
    delivery d;
    d.tag = p.tag;
    d.redelivered = p.redelivered;
    d.parts.body = p.body;
    auto read = wire::celery::read_json(p.text);
    auto* parts = read ? read->if_array() : nullptr;
    // What was written here can be read; were it not so, the job would fail as unreadable.
    if (!parts || parts->size() != 5)
        return d;
    if (auto* headers = (*parts)[0].if_object())
        d.parts.headers = std::move(*headers);
    if (auto* properties = (*parts)[1].if_object())
        d.parts.properties = std::move(*properties);
    d.queue = (*parts)[2].to_text();
    d.exchange = (*parts)[3].to_text();
    d.routing_key = (*parts)[4].to_text();
    return d;
}

std::optional<utc_time> held_messages::next() const {
    return by_eta_.empty() ? std::optional<utc_time>() : by_eta_.begin()->first;
}

std::vector<delivery> held_messages::take_due(utc_time at, std::size_t count) {
    std::vector<delivery> due;
    while (due.size() < count && !by_eta_.empty() && by_eta_.begin()->first <= at) {
        due.push_back(unpack(by_eta_.begin()->second));
        by_eta_.erase(by_eta_.begin());
    }
    return due;
}

std::vector<delivery> held_messages::take(std::string_view id) {
    std::vector<delivery> found;
    for (auto each = by_eta_.begin(); each != by_eta_.end();) {
        if (each->second.id != id) {
            ++each;
            continue;
        }
        found.push_back(unpack(each->second));
        each = by_eta_.erase(each);
    }
    return found;
}

std::vector<std::uint64_t> held_messages::tags() const {
    std::vector<std::uint64_t> all;
    all.reserve(by_eta_.size());
    for (const auto& [eta, p] : by_eta_)
        all.push_back(p.tag);
    return all;
}

std::vector<held_messages::waiting> held_messages::show(std::size_t count) const {
    std::vector<waiting> shown;
    for (const auto& [eta, p] : by_eta_) {
        if (shown.size() == count)
            break;
        shown.push_back({eta, unpack(p)});
    }
    return shown;
}

} // namespace carillon::jobs
