#include "bench/bench.hpp"

namespace cr = carillon;

namespace showcase::bench {

namespace {

constexpr std::uint32_t echo_bytes_max = 16 * 1024 * 1024;

class echo final : public cr::consumer {
    cr::task<> on_receive(cr::message received) override {
        send(received);
        return {};
    }
};

class subscriber final : public cr::json_consumer {
public:
    static cr::event_handlers events() {
        return {cr::on("bench.message", &subscriber::bench_message)};
    }

private:
    cr::task<> on_connect(const cr::scope& asked) override {
        join("bench_" + asked.kwarg("name"));
        accept();
        return {};
    }
    cr::task<> on_json(cr::value received) override {
        send_json(received);
        return {};
    }
    void bench_message(const cr::event& e) { send(e); }
};

cr::response publish(cr::request& asked, cr::channel_layer& layer) {
    cr::event message("bench.message", {{"text", asked.body}});
    auto sent = layer.group_send("bench_" + asked.kwarg("name"), std::move(message));
    if (!sent)
        throw cr::error(sent.error());
    return cr::json_response(cr::object{{"sent", true}});
}

} // namespace

cr::routes urls(cr::channel_layer& layer) {
    return {
        cr::websocket<echo>("/ws/echo/").max_message(echo_bytes_max).any_origin(),
        cr::websocket<subscriber>("/ws/bench/<slug:name>/").any_origin(),
        cr::post("/bench/<slug:name>/",
                 [&layer](cr::request& asked) { return publish(asked, layer); }),
    };
}

} // namespace showcase::bench
