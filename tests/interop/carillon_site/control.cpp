#include "interop/carillon_site/control.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>

#include <carillon/base/error.hpp>
#include <carillon/channels/confirm.hpp>
#include <carillon/net/waits.hpp>

#include "interop/carillon_site/shown.hpp"

namespace cr = carillon;

namespace interop {

namespace {

constexpr auto told_within = std::chrono::seconds(45);

// Collects the outcomes of confirmed sends, which come on any thread.
class outcomes {
public:
    void expect() {
        const std::lock_guard held(lock_);
        ++awaited_;
    }
    void take(const std::string& group, std::int64_t number, const cr::result<cr::delivery>& told) {
        const std::lock_guard held(lock_);
        --awaited_;
        if (told) {
            const cr::delivery& got = *told;
            ++confirmed_;
            queues_ += got.queues;
            full_ += got.full;
        } else {
            const std::string code(cr::name_of(told.error().code));
            failed_.push_back(cr::array{group, number, code});
        }
        changed_.notify_all();
    }
    // What became of everything that was expected. Waits on the calling thread.
    cr::value wait() {
        std::unique_lock held(lock_);
        const bool all = changed_.wait_for(held, told_within, [this] { return awaited_ == 0; });
        return cr::object{{"confirmed", confirmed_},
                          {"queues", queues_},
                          {"full", full_},
                          {"failed", failed_},
                          {"all_told", all}};
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    std::int64_t awaited_ = 0, confirmed_ = 0, queues_ = 0, full_ = 0;
    cr::array failed_;
};

// One publisher's numbered events.
class publication {
public:
    publication(const cr::value& order, cr::channel_layer& layer)
        : publisher_(order["publisher"].to_text()), next_(order["first"].to_int()),
          end_(next_ + order["count"].to_int()), layer_(layer) {
        const auto* groups = order["groups"].if_array();
        if (!groups || order["count"].to_int() < 0)
            throw cr::error(cr::errc::invalid, "\"groups\" is a list, \"count\" a number");
        for (const auto& one : *groups)
            groups_.emplace_back(one.to_text());
    }

    bool done() const noexcept { return next_ == end_; }
    void send(std::int64_t count) {
        for (const auto last = std::min(end_, next_ + count); next_ < last; ++next_)
            for (const auto& group : groups_)
                send_one(group);
    }
    cr::value wait() { return told_->wait(); }

private:
    void send_one(const std::string& group) {
        told_->expect();
        cr::event e("probe.event", {{"publisher", publisher_}, {"n", next_}});
        layer_.group_send_confirmed(group, std::move(e),
                                    [told = told_, group, n = next_](const auto& outcome) {
                                        told->take(group, n, outcome);
                                    });
    }

    std::string publisher_;
    std::vector<std::string> groups_;
    std::int64_t next_, end_;
    cr::channel_layer& layer_;
    std::shared_ptr<outcomes> told_ = std::make_shared<outcomes>();
};

cr::response answer(const cr::delivery& got) {
    return cr::json_response(cr::object{{"queues", got.queues}, {"full", got.full}});
}

cr::task<cr::response> group_send(cr::request& asked, cr::channel_layer& layer) {
    auto sent = cr::confirm_group_send(layer, asked.kwarg("group"), meant_event(asked.json()));
    const auto got = co_await sent;
    co_return answer(got);
}

cr::task<cr::response> send(cr::request& asked, cr::channel_layer& layer) {
    auto sent = cr::confirm_send(layer, asked.kwarg("channel"), meant_event(asked.json()));
    const auto got = co_await sent;
    co_return answer(got);
}

cr::task<cr::response> stream(cr::request& asked, cr::channel_layer& layer) {
    const auto order = asked.json();
    const auto batch = std::max<std::int64_t>(1, order["batch"].to_int(1));
    const std::chrono::milliseconds rest(order["pause_ms"].to_int());
    publication one(order, layer);
    if (rest.count() == 0) {
        auto sending = cr::blocking([&one] { one.send(INT32_MAX); });
        co_await sending;
    }
    while (!one.done()) {
        one.send(batch);
        cr::pause resting(rest);
        co_await resting;
    }
    auto waiting = cr::blocking([&one] { return one.wait(); });
    const auto told = co_await waiting;
    co_return cr::json_response(told);
}

cr::response group_add(cr::request& asked, cr::channel_layer& layer) {
    const auto order = asked.json();
    layer.group_add(order["group"].to_text(), order["channel"].to_text()).value();
    return cr::json_response(cr::object{{"done", true}});
}

cr::response group_discard(cr::request& asked, cr::channel_layer& layer) {
    const auto order = asked.json();
    layer.group_discard(order["group"].to_text(), order["channel"].to_text()).value();
    return cr::json_response(cr::object{{"done", true}});
}

template <class F>
auto with_layer(F call, cr::channel_layer& layer) {
    return [call, &layer](cr::request& asked) { return call(asked, layer); };
}

} // namespace

cr::routes control_routes(cr::channel_layer& layer) {
    return {
        cr::post("/layer/group_send/<path:group>", with_layer(group_send, layer)),
        cr::post("/layer/send/<path:channel>", with_layer(send, layer)),
        cr::post("/layer/group_add", with_layer(group_add, layer)),
        cr::post("/layer/group_discard", with_layer(group_discard, layer)),
        cr::post("/layer/stream", with_layer(stream, layer)),
    };
}

} // namespace interop
