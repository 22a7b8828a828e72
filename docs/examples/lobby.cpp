// The program of README.md: what one page says, every open page hears.
#include <carillon/app/app.hpp>

namespace cr = carillon;

class lobby final : public cr::json_consumer {
public:
    static cr::event_handlers events() { return {cr::on("lobby.said", &lobby::said)}; }

private:
    cr::task<> on_connect(const cr::scope&) override {
        join("lobby");
        accept();
        return {};
    }
    cr::task<> on_json(cr::value line) override {
        layer().group_send("lobby", cr::event("lobby.said", {{"text", line["text"]}})).value();
        return {};
    }
    void said(const cr::event& e) { send(e); } // encoded once, however many pages are open
};

class site final : public cr::application {
    std::string name() const override { return "lobby"; }
    std::string version() const override { return "1.0"; }
    std::string description() const override { return "A room for everybody."; }
    cr::routes urls(cr::services&) override { return {cr::websocket<lobby>("/ws/lobby/")}; }
};

int main(int argc, char** argv) {
    site lobby_site;
    return cr::run(lobby_site, argc, argv);
}
