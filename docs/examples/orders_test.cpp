// The application and the tests of docs/guide/testing.md: orders, and pages that wait for their payment.
#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include <carillon/channels/background.hpp>
#include <carillon/testing/communicator.hpp>
#include <carillon/web/routes.hpp>

namespace cr = carillon;

namespace {

class order_page final : public cr::json_consumer {
public:
    static cr::event_handlers events() { return {cr::on("order.paid", &order_page::paid)}; }

private:
    cr::task<> on_connect(const cr::scope& asked) override {
        const auto order = asked.kwarg_int("order_id");
        if (order == 0)
            return close(cr::close_code::no_such_object), cr::task<>();
        if (!asked.header("X-Banned").empty())
            return deny(403), cr::task<>();
        join("order_" + std::to_string(order));
        accept(asked.subprotocols.empty() ? "" : "orders.v1");
        return {};
    }
    cr::task<> on_json(cr::value said) override {
        send_json(said);
        return {};
    }
    cr::task<> on_disconnect(std::uint16_t) override {
        layer().send("statistics", cr::event("page.left", {})).value();
        return {};
    }
    void paid(const cr::event& e) { send(e); }
};

cr::routes urls(cr::channel_layer& layer) {
    return {
        cr::websocket<order_page>("/ws/orders/<int:order_id>/"),
        cr::post(
            "/orders/<int:order_id>/pay/",
            [&layer](cr::request& r) {
                const auto total = r.json()["total"];
                layer
                    .group_send("order_" + r.kwarg("order_id"),
                                cr::event("order.paid", {{"total", total}}))
                    .value();
                layer.send("receipts", cr::event("receipt.wanted", {{"total", total}})).value();
                return cr::json_response(cr::object{{"paid", true}});
            }),
    };
}

// Writes receipts in the background: at most once, as the guide says.
class receipts final : public cr::background_consumer {
public:
    static cr::background_handlers events() {
        return {cr::on_background("receipt.wanted", &receipts::write)};
    }
    void write(const cr::event& e) {
        layer().send("printer", cr::event("print", {{"total", e["total"]}})).value();
    }
};

const cr::name_value_list json{{"Content-Type", "application/json"}};

} // namespace

TEST_CASE("a page hears that its order was paid") {
    cr::testing::test_site site(urls);
    cr::testing::ws_options offering;
    offering.subprotocols = {"orders.v1"};
    cr::testing::websocket_communicator page(site, "/ws/orders/7/", offering);
    const auto opened = page.connect();
    REQUIRE(opened.accepted);
    CHECK(opened.subprotocol == "orders.v1");
    site.layer().group_send("order_7", cr::event("order.paid", {{"total", 12}})).value();
    CHECK(page.receive_json()["total"].to_int() == 12);
    CHECK(page.receive_nothing());
}

TEST_CASE("a page that leaves is noted") {
    cr::testing::test_site site(urls);
    auto statistics = site.layer().receive_from("statistics").value();
    cr::testing::websocket_communicator page(site, "/ws/orders/7/");
    page.connect();
    page.disconnect(cr::close_code::going_away);
    CHECK(statistics->receive(cr::now())); // at once: on_disconnect has run
}

TEST_CASE("a page says something, and is answered") {
    cr::testing::test_site site(urls);
    cr::testing::websocket_communicator page(site, "/ws/orders/7/");
    REQUIRE(page.connect().accepted);
    page.send_json(cr::object{{"note", "no onions"}});
    CHECK(page.receive_json()["note"].to_text() == "no onions");
    page.send_text("{");
    CHECK(page.receive_json()["data"]["code"].to_text() == "bad_request");
}

TEST_CASE("who may not see an order is refused, and one that is not there is closed") {
    cr::testing::test_site site(urls);
    cr::testing::ws_options banned;
    banned.headers = {{"X-Banned", "1"}};
    cr::testing::websocket_communicator stranger(site, "/ws/orders/7/", banned);
    const auto refused = stranger.connect();
    CHECK_FALSE(refused.accepted);
    CHECK(refused.status == 403);

    cr::testing::websocket_communicator lost(site, "/ws/orders/0/");
    CHECK(lost.connect().close_code == cr::close_code::no_such_object);
}

TEST_CASE("paying is a request, and what it sends is seen") {
    cr::testing::test_site site(urls);
    auto wanted = site.layer().receive_from("receipts").value();
    const auto paid =
        cr::testing::request_once(site, "POST", "/orders/7/pay/", R"({"total": 12})", json);
    CHECK(paid.status == 200);
    CHECK(paid.json()["paid"].to_bool());
    const auto sent = wanted->receive(cr::now() + cr::testing::default_timeout);
    REQUIRE(sent);
    CHECK(sent->type() == "receipt.wanted");

    const auto wrong = cr::testing::request_once(site, "POST", "/orders/7/pay/", "{", json);
    CHECK(wrong.status == 400);
    CHECK(wrong.json()["error"]["code"].to_text() == "bad_request");
}

TEST_CASE("a background consumer is run by its workers") {
    cr::testing::test_site site(urls);
    cr::metrics counted;
    const cr::background_routes table{cr::background<receipts>("receipts")};
    const auto workers =
        cr::background_workers::start(table, 1, site.layer(), cr::silent_log(), counted).value();
    auto printer = site.layer().receive_from("printer").value();
    cr::testing::request_once(site, "POST", "/orders/7/pay/", R"({"total": 12})", json);
    const auto printed = printer->receive(cr::now() + cr::testing::default_timeout);
    REQUIRE(printed);
    CHECK((*printed)["total"].to_int() == 12);
}
