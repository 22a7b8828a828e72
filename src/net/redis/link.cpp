#include "net/redis/link.hpp"

#include <utility>

namespace carillon::net::redis {

link::link(loop& on, resolver& names, link_events& events) : events_(&events) {
    client_socket_events& me = *this;
    socket_ = std::make_shared<client_socket>(on, names, me);
}

void link::open(const endpoint& to, std::optional<tls_client_context> tls,
                std::chrono::milliseconds timeout) {
    socket_->open({to.host, to.port, to.path}, std::move(tls), timeout);
}

void link::write(std::string_view bytes) {
    if (!socket_->is_open())
        return;
    socket_->outgoing() += bytes;
    socket_->flush_soon();
}

void link::on_open() noexcept {
    const auto self = shared_from_this();
    events_->on_open();
}

void link::on_bytes(std::string_view received) noexcept {
    const auto self = shared_from_this();
    reader_.append(received);
    while (socket_->is_open()) {
        auto next = reader_.next();
        if (!next) {
            close();
            return events_->on_lost(next.error());
        }
        if (!*next)
            return;
        events_->on_reply(std::move(**next));
    }
}

void link::on_lost(const failure& why) noexcept {
    const auto self = shared_from_this();
    events_->on_lost(why);
}

} // namespace carillon::net::redis
