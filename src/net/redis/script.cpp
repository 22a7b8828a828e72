#include "net/redis/script.hpp"

#include <cstdint>
#include <memory>
#include <utility>

namespace carillon::net::redis {

using wire::redis::command;
using wire::redis::reply;

struct script::call {
    std::vector<std::string> keys, arguments;
    client::told done;

    command made(std::string_view name, std::string_view what) const {
        command out(name);
        out.add(what).add(static_cast<std::int64_t>(keys.size()));
        for (const auto& key : keys)
            out.add(key);
        for (const auto& argument : arguments)
            out.add(argument);
        return out;
    }
};

// Servers before version 7 do not know the first line.
void script::load(client& on) {
    for (const auto& text : {text_, "#!lua flags=allow-oom\n" + text_})
        on.send(command{"SCRIPT", "LOAD", text}, [this](result<reply> answer) {
            if (answer && answer->kind == reply::what::text)
                digest_ = std::move(answer->text);
        });
}

void script::run(client& on, std::vector<std::string> keys, std::vector<std::string> arguments,
                 client::told done) {
    auto one = std::make_shared<call>(call{std::move(keys), std::move(arguments), std::move(done)});
    if (digest_.empty()) {
        on.send(one->made("EVAL", text_),
                [one](result<reply> answer) { one->done(std::move(answer)); });
        return;
    }
    on.send(one->made("EVALSHA", digest_), [this, one, &on](result<reply> answer) {
        if (!answer || answer->error_code() != "NOSCRIPT")
            return one->done(std::move(answer));
        on.send(one->made("EVAL", text_),
                [one](result<reply> again) { one->done(std::move(again)); });
    });
}

} // namespace carillon::net::redis
