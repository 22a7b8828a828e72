#include "jobs/broker/redis_replies.hpp"

#include <algorithm>
#include <utility>

namespace carillon::jobs::redis {

using wire::redis::reply;

namespace {

constexpr std::size_t pop_max = 100;
constexpr std::chrono::milliseconds pause_first{5}, pause_max{100}, look_interval{1'000};

} // namespace

void replies::open() {
    if (!std::exchange(opened_, true) && up_)
        on_up();
}

void replies::on_up() {
    up_ = true;
    if (!opened_)
        return;
    const wire::celery::redis_names::bound_queue own{in_.self, "", in_.self};
    in_.commands.send(wire::redis::command{"SADD", in_.keys.celery.binding("reply.celery.pidbox"),
                                           in_.keys.celery.binding_member(own)},
                      [](const result<reply>&) {});
    wake();
}

void replies::stop() {
    up_ = popping_ = false;
    if (look_again_)
        in_.loop.cancel(*std::exchange(look_again_, std::nullopt));
}

void replies::wake() {
    pause_ = {};
    pop();
}

void replies::pop() {
    if (!up_ || !opened_)
        return;
    again_ = popping_;
    if (std::exchange(popping_, true))
        return;
    if (changes_.works())
        changes_.look({key()}, [](std::int64_t) {});
    in_.lua.pop.run(in_.commands, {key()}, {std::to_string(pop_max)},
                    [this](const result<reply>& answer) {
                        if (!std::exchange(popping_, false))
                            return;
                        if (!answer)
                            return;
                        for (const auto& one : answer->items) {
                            auto read = wire::celery::decode_envelope(one.text);
                            if (read)
                                told_.on_reply(std::move(read->parts));
                            else
                                in_.log.warning("a reply that nobody can read was dropped",
                                                {{"why", read.error().message}});
                        }
                        if (again_ || answer->items.size() == pop_max)
                            return wake();
                        rest();
                    });
}

void replies::rest() {
    if (look_again_)
        return;
    pause_ = std::clamp(pause_ * 2, pause_first, pause_max);
    look_again_ = in_.loop.at(now() + (changes_.works() ? look_interval : pause_), [this] {
        look_again_.reset();
        pop();
    });
}

} // namespace carillon::jobs::redis
