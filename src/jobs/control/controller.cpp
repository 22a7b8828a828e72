#include "jobs/control/controller.hpp"

#include "base/uuid.hpp"

namespace carillon::jobs {

namespace celery = wire::celery;

bool controller::on_reply(const celery::message_parts& parts) noexcept {
    auto reply = celery::decode_reply(parts);
    if (!reply)
        return false;
    clock_.seen(reply->clock);
    std::lock_guard lock(guard_);
    const auto asked = asked_.find(reply->ticket);
    if (asked == asked_.end())
        return false;
    if (asked->second.size() < control_replies_max)
        asked->second.push_back(*std::move(reply));
    came_.notify_all();
    return true;
}

celery::control_request controller::request_of(std::string method, object arguments,
                                               control_target target) {
    celery::control_request request;
    request.method = std::move(method);
    request.arguments = std::move(arguments);
    request.destination = std::move(target.nodes);
    request.pattern = std::move(target.pattern);
    if (!request.pattern.empty())
        request.matcher = "glob";
    request.clock = clock_.next();
    return request;
}

void controller::send(const celery::control_request& request) {
    broker_.emit(std::string(celery::pidbox_exchange), "", celery::encode_request(request));
}

void controller::tell(std::string method, object arguments, control_target target) {
    send(request_of(std::move(method), std::move(arguments), std::move(target)));
}

std::vector<celery::control_reply> controller::ask(std::string method, object arguments,
                                                   control_target target,
                                                   std::chrono::milliseconds patience) {
    const auto deadline = now() + patience;
    const auto expected =
        target.nodes && target.pattern.empty() ? target.nodes->size() : control_replies_max;
    auto request = request_of(std::move(method), std::move(arguments), std::move(target));
    request.ticket = make_uuid();
    request.reply_exchange = celery::pidbox_reply_exchange;
    request.reply_routing_key = broker_.reply_queue();
    request.expires =
        std::chrono::duration<double>((utc_now() + patience).time_since_epoch()).count();

    std::unique_lock lock(guard_);
    const auto asked = asked_.try_emplace(request.ticket).first;
    lock.unlock();
    send(request);
    lock.lock();
    came_.wait_until(lock, deadline, [&] { return asked->second.size() >= expected; });
    auto replies = std::move(asked->second);
    asked_.erase(asked);
    return replies;
}

} // namespace carillon::jobs
