// The example of docs/guide/background-consumers.md: work behind a hand-named channel, in another process if wanted.
#include <algorithm>
#include <sstream>

#include <carillon/app/app.hpp>

namespace cr = carillon;

class word_counter final : public cr::background_consumer {
public:
    static cr::background_handlers events() {
        return {cr::on_background("text.count", &word_counter::count)};
    }

private:
    // Blocks as long as it needs: the thread is its own.
    void count(const cr::event& e) {
        std::istringstream text(std::string(e["text"].to_text()));
        std::string word;
        std::int64_t words = 0;
        while (text >> word)
            ++words;
        cr::event counted("text.counted", {{"words", words}});
        layer().send(e["reply_to"].to_text(), std::move(counted)).value();
    }
};

class page final : public cr::json_consumer {
public:
    static cr::event_handlers events() { return {cr::on("text.counted", &page::counted)}; }

private:
    cr::task<> on_connect(const cr::scope&) override {
        accept();
        return {};
    }
    cr::task<> on_json(cr::value line) override {
        cr::event asked("text.count", {{"text", line["text"]}, {"reply_to", channel_name()}});
        layer().send("texts", std::move(asked)).value();
        return {};
    }
    void counted(const cr::event& e) { send(e, answer); }
    static constexpr auto answer = cr::only("words");
};

class site final : public cr::application {
    std::string name() const override { return "word_count"; }
    std::string version() const override { return "1.0"; }
    std::string description() const override { return "Counts words, not on the page's thread."; }
    cr::background_routes background(cr::services&) override {
        return {cr::background<word_counter>("texts")};
    }
    cr::routes urls(cr::services&) override { return {cr::websocket<page>("/ws/words/")}; }
};

int main(int argc, char** argv) {
    site counting;
    return cr::run(counting, argc, argv);
}
