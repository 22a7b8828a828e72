#include "interop/carillon_site/consumers.hpp"

#include <carillon/base/error.hpp>
#include <carillon/wire/json.hpp>

namespace cr = carillon;

namespace interop {

namespace {

constexpr std::string_view notified = "test_consumer_group";
constexpr std::int64_t notifications_max = 1'000;

class report_page final : public cr::consumer {
public:
    static cr::event_handlers events() {
        return {cr::on("progress_update", &report_page::progress_update)};
    }

private:
    cr::task<> on_connect(const cr::scope& asked) override {
        join("report_" + asked.kwarg("job_id"));
        accept();
        return {};
    }
    void progress_update(const cr::event& e) {
        static constexpr auto shown = cr::only("progress", "status", "message");
        send(e, shown);
    }
};

class ward_page final : public cr::json_consumer {
public:
    static cr::event_handlers events() {
        return {cr::on("bed_status_change", &ward_page::changed),
                cr::on("patient_admitted", &ward_page::changed)};
    }

private:
    cr::task<> on_connect(const cr::scope& asked) override {
        ward_ = asked.kwarg_int("ward_id");
        join(group());
        accept();
        return {};
    }
    cr::task<> on_json(cr::value received) override {
        const auto action = received["action"].to_text();
        if (action == "get_status")
            send_json(cr::object{{"type", "ward_status"},
                                 {"data", cr::object{{"ward", ward_}, {"changes", changes_}}}});
        else if (action == "set_bed")
            set_bed(received["bed_id"], received["status"]);
        else
            send_error("invalid", "No such action.");
        return {};
    }
    void set_bed(const cr::value& bed, const cr::value& status) {
        const cr::object data{{"bed_id", bed}, {"status", status}};
        layer().group_send(group(), cr::event("bed_status_change", {{"data", data}})).value();
        const cr::object last{{"last_bed", bed}};
        layer()
            .group_send("dashboard_ward_management",
                        cr::event("dashboard_update", {{"data", last}}))
            .value();
    }
    void changed(const cr::event& e) {
        ++changes_;
        send(e);
    }
    std::string group() const { return "ward_" + std::to_string(ward_); }

    std::int64_t ward_ = 0;
    std::int64_t changes_ = 0;
};

// Shows the data of one event type of one group.
class data_page : public cr::consumer {
protected:
    void show(const cr::event& e) {
        static constexpr auto shown = cr::member("data");
        send(e, shown);
    }
};

class dashboard_page final : public data_page {
public:
    static cr::event_handlers events() {
        return {cr::on("dashboard_update", &dashboard_page::dashboard_update)};
    }

private:
    cr::task<> on_connect(const cr::scope& asked) override {
        join("dashboard_" + asked.kwarg("role"));
        accept();
        return {};
    }
    void dashboard_update(const cr::event& e) { show(e); }
};

class task_page final : public data_page {
public:
    static cr::event_handlers events() { return {cr::on("task_update", &task_page::task_update)}; }

private:
    cr::task<> on_connect(const cr::scope&) override {
        join("tasks");
        accept();
        return {};
    }
    void task_update(const cr::event& e) { show(e); }
};

// Blocking, as its counterpart is synchronous.
class notification_page final : public cr::blocking_consumer {
public:
    static cr::event_handlers events() {
        return {cr::on("send_notification", &notification_page::send_notification)};
    }

private:
    void connect(const cr::scope&) override {
        join(notified);
        accept();
    }
    void receive(cr::message) override { send_json(cr::object{{"status", "Data received!"}}); }
    void send_notification(const cr::event& e) {
        static constexpr auto shown = cr::text_of("value");
        send(e, shown);
    }
};

cr::response home(cr::request& asked, cr::channel_layer& layer) {
    const auto count = asked.query_int("count", 9, 1, notifications_max);
    for (std::int64_t number = 1; number <= count; ++number) {
        auto text = cr::to_json(cr::object{{"count", number}});
        layer.group_send(notified, cr::event("send_notification", {{"value", std::move(text)}}))
            .value();
    }
    return cr::text_response("");
}

} // namespace

cr::routes consumer_routes(cr::channel_layer& layer) {
    return {
        cr::websocket<report_page>(cr::re("ws/reports/(?P<job_id>[0-9a-fA-F-]+)/")).any_origin(),
        cr::websocket<ward_page>("/ws/ward/<int:ward_id>/").any_origin(),
        cr::websocket<dashboard_page>("/ws/dashboard/<str:role>/").any_origin(),
        cr::websocket<task_page>("/ws/tasks/").any_origin(),
        cr::websocket<notification_page>("/ws/test/").any_origin(),
        cr::get("/home/", [&layer](cr::request& asked) { return home(asked, layer); }),
    };
}

} // namespace interop
