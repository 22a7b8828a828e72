#include "control.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include <carillon/base/error.hpp>

#include "shown.hpp"

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
            ++confirmed_;
            queues_ += told_value(told).queues;
            full_ += told_value(told).full;
        } else {
            const auto code = std::string(cr::name_of(told.error().code));
            ++failures_[code];
            failed_.push_back(cr::array{group, number, code});
        }
        changed_.notify_all();
    }
    // What became of everything that was expected.
    cr::value wait() {
        std::unique_lock held(lock_);
        const bool all = changed_.wait_for(held, told_within, [this] { return awaited_ == 0; });
        cr::object codes;
        for (const auto& [code, count] : failures_)
            codes.set(code, count);
        return cr::object{{"confirmed", confirmed_}, {"queues", queues_}, {"full", full_},
                          {"failures", codes},       {"failed", failed_}, {"all_told", all}};
    }

private:
    static const cr::delivery& told_value(const cr::result<cr::delivery>& told) { return *told; }

    std::mutex lock_;
    std::condition_variable changed_;
    std::int64_t awaited_ = 0, confirmed_ = 0, queues_ = 0, full_ = 0;
    std::map<std::string, std::int64_t> failures_;
    cr::array failed_;
};

// The outcome of one confirmed send; a failure is thrown.
class one_outcome {
public:
    cr::delivery_told teller() {
        return [state = state_](const cr::result<cr::delivery>& told) {
            const std::lock_guard held(state->lock);
            state->told.emplace(told);
            state->changed.notify_all();
        };
    }
    cr::response answer() {
        std::unique_lock held(state_->lock);
        if (!state_->changed.wait_for(held, told_within,
                                      [this] { return state_->told.has_value(); }))
            throw cr::error(cr::errc::timed_out, "the layer did not tell an outcome");
        if (!*state_->told)
            throw cr::error(state_->told->error());
        const cr::delivery& got = **state_->told;
        return cr::json_response(cr::object{{"queues", got.queues}, {"full", got.full}});
    }

private:
    struct shared {
        std::mutex lock;
        std::condition_variable changed;
        std::optional<cr::result<cr::delivery>> told;
    };
    std::shared_ptr<shared> state_ = std::make_shared<shared>();
};

cr::response group_send(cr::request& asked, cr::channel_layer& layer) {
    one_outcome outcome;
    layer.group_send_confirmed(asked.kwarg("group"), meant_event(asked.json()), outcome.teller());
    return outcome.answer();
}

cr::response send(cr::request& asked, cr::channel_layer& layer) {
    one_outcome outcome;
    layer.send_confirmed(asked.kwarg("channel"), meant_event(asked.json()), outcome.teller());
    return outcome.answer();
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

cr::response stream(cr::request& asked, cr::channel_layer& layer) {
    const auto order = asked.json();
    const auto* groups = order["groups"].if_array();
    if (!groups)
        throw cr::error(cr::errc::invalid, "\"groups\" is a list of names");
    const auto pause = std::chrono::microseconds(order["pause_us"].to_int());
    const auto first = order["first"].to_int();
    const auto state = std::make_shared<outcomes>();
    for (std::int64_t n = first; n < first + order["count"].to_int(); ++n)
        for (const auto& one : *groups) {
            const std::string group(one.to_text());
            cr::event e("probe.event", {{"publisher", order["publisher"]}, {"n", n}});
            state->expect();
            layer.group_send_confirmed(group, std::move(e),
                                       [state, group, n](const cr::result<cr::delivery>& told) {
                                           state->take(group, n, told);
                                       });
            if (pause.count() > 0)
                std::this_thread::sleep_for(pause);
        }
    return cr::json_response(state->wait());
}

template <class F>
auto with_layer(F call, cr::channel_layer& layer) {
    return cr::on_thread([call, &layer](cr::request& asked) { return call(asked, layer); });
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
