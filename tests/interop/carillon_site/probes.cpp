#include "interop/carillon_site/probes.hpp"

#include <algorithm>
#include <stdexcept>

#include <carillon/base/error.hpp>

#include "interop/carillon_site/shown.hpp"

namespace cr = carillon;

namespace interop {

namespace {

// Joins the groups of its query string (`?group=a,b`) and tells its channel's name in the first frame.
class probe final : public cr::json_consumer {
public:
    explicit probe(heard& disconnects) : disconnects_(disconnects) {}

    static cr::event_handlers events() {
        cr::event_handlers all;
        for (const auto* type : {"x", "t", "x.y", "job.run", "old.key", "chat.message",
                                 "probe.event", "probe.marker", "layer.gap"})
            all.push_back(cr::on(type, &probe::show));
        return all;
    }

private:
    cr::task<> on_connect(const cr::scope& asked) override {
        std::string_view groups;
        const auto given = asked.query("group");
        if (given)
            groups = *given;
        while (!groups.empty()) {
            const auto end = std::min(groups.find(','), groups.size());
            join(groups.substr(0, end));
            groups.remove_prefix(std::min(end + 1, groups.size()));
        }
        accept();
        send_json(cr::object{{"channel_name", channel_name()}});
        return {};
    }

    cr::task<> on_json(cr::value received) override {
        const auto order = received["do"].to_text();
        if (order == "close") {
            close(static_cast<std::uint16_t>(received["code"].to_int()));
            return {};
        }
        obey(order, received);
        send_json(cr::object{{"done", order}});
        return {};
    }

    void obey(std::string_view order, const cr::value& received) {
        if (order == "join")
            join(received["group"].to_text());
        else if (order == "leave")
            leave(received["group"].to_text());
        else if (order == "group_send")
            layer().group_send(received["group"].to_text(), meant_event(received["event"])).value();
        else if (order == "send")
            layer().send(received["channel"].to_text(), meant_event(received["event"])).value();
        else if (order == "raise")
            throw std::runtime_error("as the client wished");
    }

    cr::task<> on_disconnect(std::uint16_t code) override {
        disconnects_.add(channel_name(), code);
        return {};
    }

    void show(const cr::event& e) { send_json(cr::object{{"event", shown(e)}}); }

    heard& disconnects_;
};

class with_subprotocol final : public cr::consumer {
    cr::task<> on_connect(const cr::scope& asked) override {
        accept(asked.query("pick").value_or(""));
        return {};
    }
};

class denying final : public cr::consumer {
    cr::task<> on_connect(const cr::scope&) override {
        deny();
        return {};
    }
};

} // namespace

void heard::add(std::string channel, std::uint16_t code) {
    const std::lock_guard held(lock_);
    entries_.push_back(cr::object{{"channel", std::move(channel)}, {"code", code}});
}

cr::value heard::all() const {
    const std::lock_guard held(lock_);
    return entries_;
}

cr::routes probe_routes(heard& disconnects) {
    return {
        cr::websocket<probe>("/ws/probe/", std::ref(disconnects)).any_origin(),
        cr::websocket<with_subprotocol>("/ws/subprotocol/").any_origin(),
        cr::websocket<denying>("/ws/deny/").any_origin(),
        cr::get("/probe/disconnects/",
                [&disconnects](cr::request&) {
                    return cr::json_response(cr::object{{"disconnects", disconnects.all()}});
                }),
    };
}

} // namespace interop
