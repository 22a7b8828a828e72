#include "jobs/broker/redis_watch.hpp"

namespace carillon::jobs::redis {

using wire::redis::command;
using wire::redis::reply;

void watch::look(const std::vector<std::string>& keys,
                 std::function<void(std::int64_t exist)> told) {
    if (works_)
        in_.commands.send(command{"CLIENT", "CACHING", "YES"}, [](const result<reply>&) {});
    command question("EXISTS");
    for (const auto& key : keys)
        question.add(key);
    in_.commands.send(question, [told = std::move(told)](const result<reply>& answer) {
        if (answer && answer->kind == reply::what::integer)
            told(answer->number);
    });
}

void watch::listener(std::int64_t id) {
    listener_ = id;
    works_ = false;
    if (id == 0)
        changed_();
    else
        enable();
}

void watch::on_up() {
    up_ = true;
    enable();
}

void watch::on_down() { up_ = works_ = false; }

void watch::enable() {
    if (!up_ || listener_ == 0)
        return;
    command what{"CLIENT", "TRACKING", "ON", "REDIRECT"};
    what.add(listener_).add("OPTIN");
    in_.commands.send(what, [this, id = listener_](const result<reply>& answer) {
        if (!answer || id != listener_)
            return;
        works_ = !answer->is_error();
        if (!works_ && !std::exchange(refused_, true))
            in_.log.warning("Redis does not tell of changes, its lists are polled",
                            {{"why", answer->text}});
        changed_();
    });
}

} // namespace carillon::jobs::redis
