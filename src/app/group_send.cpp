#include <cstdio>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "app/layer_settings.hpp"
#include "app/runtime.hpp"
#include "app/sending_layer.hpp"
#include <carillon/channels/confirm.hpp>
#include <carillon/wire/json.hpp>

namespace carillon::app {

namespace {

result<event> event_of(const std::string& json) {
    auto parsed = parse_json(json);
    if (!parsed || !parsed->is_object() || !(*parsed)["type"].is_string())
        return failure{errc::invalid, "the event must be a JSON object with a type, such as "
                                      "'{\"type\": \"chat.message\", \"text\": \"hi\"}'"};
    auto& members = *parsed->if_object();
    std::string type((*parsed)["type"].to_text());
    members.erase("type");
    return event(std::move(type), std::move(members));
}

std::string counted(std::uint32_t queues) {
    return fmt::format("{} {}", queues, queues == 1 ? "queue" : "queues");
}

int tell(const delivery& done, const std::string& group) {
    if (done.queues == 0)
        fmt::print("nobody is in the group {}\n", group);
    else if (done.full == 0)
        fmt::print("{} took the event\n", counted(done.queues));
    else
        fmt::print("{} took the event, {} full\n", counted(done.queues - done.full),
                   done.full == 1 ? "1 was" : fmt::format("{} were", done.full));
    return 0;
}

int send_through_redis(sending_layer& sending, const settings& config, const std::string& group,
                       event what) {
    // An event may wait for its server, and after that for the reply.
    constexpr std::chrono::seconds for_the_reply{6};
    try {
        const auto sent = confirm_group_send(sending.layer(), group, std::move(what));
        return tell(wait_confirmed(sent, now() + config.channel_send_timeout + for_the_reply),
                    group);
    } catch (const error& wrong) {
        if (wrong.code() != errc::unavailable)
            return fail({wrong.code(), wrong.what()});
        const auto state = sending.layer().status();
        return fail({errc::unavailable,
                     fmt::format("the channel layer cannot be reached: {}; is it running?",
                                 state ? wrong.what() : state.error().message)});
    }
}

// The relay answers nothing: all that can be known is that a server took it.
int send_through_server(sending_layer& sending, const settings& config, const std::string& group,
                        event what) {
    if (auto sent = sending.layer().group_send(group, std::move(what)); !sent)
        return fail(sent.error());
    if (sending.flush(std::chrono::seconds(3)))
        return 0;
    return fail({errc::unavailable,
                 fmt::format("no server answers on the data folder {}; start it with serve, or "
                             "name its folder with --data-dir",
                             config.data_dir.string())});
}

} // namespace

int group_send(const settings& config, const std::string& group, const std::string& json) {
    auto what = event_of(json);
    if (!what)
        return fail(what.error());
    auto quiet = config; // what goes wrong is told by this command itself
    quiet.level = log_level::error;
    auto log = log_for(quiet);
    metrics counters;
    auto started = sending_layer::start(config, *log, counters);
    if (!started)
        return fail(started.error());
    const auto send = layer_on_redis(config) ? send_through_redis : send_through_server;
    return send(**started, config, group, *std::move(what));
}

} // namespace carillon::app
