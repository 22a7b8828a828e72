#include "jobs/broker/redis_listener.hpp"

#include <utility>

#include "jobs/broker/redis_watch.hpp"

namespace carillon::jobs::redis {

using wire::redis::command;
using wire::redis::reply;

listener::listener(net::loop& on, net::redis::address where, net::redis::client_options options,
                   listener_events& events, logger& log, net::redis::client_counters& counted)
    : events_(events), channels_{std::string(invalidation_channel)},
      client_(on, std::move(where), std::move(options),
              static_cast<net::redis::client_events&>(*this), log, counted) {}

void listener::subscribe(std::string channel) {
    client_.send_push(command{"SUBSCRIBE", channel});
    channels_.insert(std::move(channel));
}

void listener::on_up() noexcept {
    id_ = 0;
    client_.send(command{"CLIENT", "ID"}, [this](const result<reply>& answer) {
        if (answer && answer->kind == reply::what::integer)
            id_ = answer->number;
    });
    for (const auto& channel : channels_)
        client_.send_push(command{"SUBSCRIBE", channel});
}

void listener::on_down(const failure&) noexcept { events_.on_listening(0); }

void listener::on_push(reply pushed) noexcept {
    auto& parts = pushed.items;
    if (parts.size() != 3)
        return;
    if (parts[0].text == "subscribe" && parts[1].text == invalidation_channel && id_ != 0)
        events_.on_listening(id_);
    else if (parts[0].text == "message")
        events_.on_message(parts[1].text, std::move(parts[2]));
}

} // namespace carillon::jobs::redis
