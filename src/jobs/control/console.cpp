#include <algorithm>

#include "jobs/control/controller.hpp"

namespace carillon::jobs {

namespace celery = wire::celery;

class control_console::impl final : public broker_events {
public:
    explicit impl(std::unique_ptr<broker> through) : broker_(std::move(through)) {}
    ~impl() { broker_.reset(); } // first: nothing is heard after it

    result<void> start(std::chrono::milliseconds patience) {
        broker_->start(*this);
        broker_->reply_queue();
        std::unique_lock lock(guard_);
        if (changed_.wait_for(lock, patience, [this] { return up_; }))
            return {};
        return failure{errc::unavailable, lost_.empty() ? "the broker does not answer" : lost_};
    }
    controller& asks() noexcept { return asks_; }

    void on_up() noexcept override {
        std::lock_guard lock(guard_);
        up_ = true;
        changed_.notify_all();
    }
    void on_down(const failure& why) noexcept override {
        std::lock_guard lock(guard_);
        up_ = false;
        lost_ = why.message;
    }
    // Nothing is consumed: there is none.
    void on_delivery(delivery) noexcept override {}
    void on_reply(celery::message_parts reply) noexcept override { asks_.on_reply(reply); }

private:
    std::mutex guard_;
    std::condition_variable changed_;
    bool up_ = false;
    std::string lost_;
    std::unique_ptr<broker> broker_;
    lamport_clock clock_;
    controller asks_{*broker_, clock_};
};

control_console::control_console(std::unique_ptr<impl> owned) : impl_(std::move(owned)) {}
control_console::~control_console() = default;

result<std::unique_ptr<control_console>>
control_console::open(std::unique_ptr<broker> through, std::chrono::milliseconds connect_patience) {
    auto owned = std::make_unique<impl>(std::move(through));
    if (auto done = owned->start(connect_patience); !done)
        return done.error();
    return std::unique_ptr<control_console>(new control_console(std::move(owned)));
}

node_answers<value> control_console::ask(std::string method, object arguments) {
    auto replies = impl_->asks().ask(std::move(method), std::move(arguments), target, patience);
    std::stable_sort(replies.begin(), replies.end(),
                     [](const auto& a, const auto& b) { return a.node < b.node; });
    node_answers<value> out;
    for (auto& reply : replies) {
        const auto* refused = reply.content.find("error");
        result<value> content = std::move(reply.content);
        if (refused && content->if_object()->size() == 1)
            content = failure{errc::invalid, std::string((*content)["error"].to_text())};
        out.emplace_back(std::move(reply.node), std::move(content));
    }
    return out;
}

namespace {

failure strange() { return failure{errc::bad_request, "the node's answer cannot be read"}; }

// Each answer read by `read`, which gives a result.
template <class T, class F>
node_answers<T> each(node_answers<value> answers, F read) {
    node_answers<T> out;
    for (auto& [node, content] : answers)
        out.emplace_back(std::move(node), content ? read(*content) : result<T>(content.error()));
    return out;
}

template <class T, class F>
auto list_of(F read_one) {
    return [read_one](const value& content) -> result<std::vector<T>> {
        const auto* list = content.if_array();
        if (!list)
            return strange();
        std::vector<T> out;
        for (const auto& item : *list) {
            result<T> one = read_one(item);
            if (!one)
                return one.error();
            out.push_back(*std::move(one));
        }
        return out;
    };
}

} // namespace

std::vector<std::string> control_console::ping() {
    std::vector<std::string> out;
    for (auto& [node, content] : ask("ping"))
        if (content)
            out.push_back(std::move(node));
    return out;
}

node_answers<std::vector<celery::request_info>> control_console::active() {
    using info = celery::request_info;
    return each<std::vector<info>>(ask("active"), list_of<info>(celery::read_request_info));
}

node_answers<std::vector<std::string>> control_console::registered() {
    return each<std::vector<std::string>>(
        ask("registered"), list_of<std::string>([](const value& name) -> result<std::string> {
            return name.is_string() ? result<std::string>(*name.if_string())
                                    : result<std::string>(strange());
        }));
}

node_answers<celery::worker_stats> control_console::stats() {
    return each<celery::worker_stats>(ask("stats"), celery::read_worker_stats);
}

node_answers<std::vector<celery::queue_info>> control_console::queues() {
    using info = celery::queue_info;
    return each<std::vector<info>>(ask("active_queues"), list_of<info>(celery::read_queue_info));
}

node_answers<std::string> control_console::control(std::string method, object arguments) {
    return each<std::string>(ask(std::move(method), std::move(arguments)),
                             [](const value& content) -> result<std::string> {
                                 return std::string(content["ok"].to_text());
                             });
}

node_answers<std::string> control_console::revoke(const std::vector<std::string>& ids,
                                                  bool terminate) {
    object arguments;
    arguments.append("task_id", array(ids.begin(), ids.end()));
    arguments.append("terminate", terminate);
    arguments.append("signal", terminate ? value("SIGTERM") : value());
    return control("revoke", std::move(arguments));
}

} // namespace carillon::jobs
