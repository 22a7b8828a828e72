#include "channels/redis/counters.hpp"

namespace carillon::channels::redis {

namespace {

counter& dropped(metrics& counted, const char* reason) {
    return counted.add(metric_kind::counter, "carillon_layer_dropped_total",
                       "Events that a channel did not take", {{"reason", reason}});
}

} // namespace

layer_counters::layer_counters(metrics& counted)
    : capacity(dropped(counted, "capacity")), undecodable(dropped(counted, "undecodable")),
      too_large(dropped(counted, "too_large")), unavailable(dropped(counted, "unavailable")),
      unconfirmed(dropped(counted, "unconfirmed")), no_receiver(dropped(counted, "no_receiver")),
      backlog(dropped(counted, "backlog")),
      received(counted.add(metric_kind::counter, "carillon_layer_received_total",
                           "Messages taken from the channel layer's servers")),
      waiting(counted.add(metric_kind::gauge, "carillon_layer_unconfirmed",
                          "Events accepted that the layer's servers have not confirmed yet")),
      connected(counted.add(metric_kind::gauge, "carillon_layer_connected",
                            "Servers of the channel layer that can be used now")),
      gaps(counted.add(metric_kind::counter, "carillon_layer_gaps_total",
                       "Outages after which consumers were told of a gap")),
      settles(counted.add(metric_kind::counter, "carillon_layer_settles_total",
                          "Outages after which events waited for other processes")),
      connections(counted) {}

void seldom::warn(std::string_view what, std::string_view of, std::int64_t cases) {
    cases_ += cases;
    const auto present = now();
    if (present < quiet_until_)
        return;
    quiet_until_ = present + std::chrono::seconds(1);
    log_.warning(message_, {{"what", what}, {"of", of}, {"cases", cases_}});
    cases_ = 0;
}

} // namespace carillon::channels::redis
