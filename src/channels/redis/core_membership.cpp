#include "channels/redis/core_membership.hpp"

#include <algorithm>

#include "channels/redis/core_script.hpp"

namespace carillon::channels::redis {

namespace {

constexpr std::size_t under_way_max = 500;
constexpr std::chrono::seconds retry_pause{1};

std::string present_score() { return score_text(utc_now().time_since_epoch().count()); }

} // namespace

core_membership::core_membership(const redis_layer_options& options, const core_names& names,
                                 registry& wanted, std::vector<std::unique_ptr<host>>& hosts,
                                 net::loop& on, logger& log)
    : options_(options), names_(names), wanted_(wanted), hosts_(hosts), loop_(on),
      progress_(hosts.size()), failed_(log, "a group's entry cannot be written") {}

void core_membership::restore(host& of) {
    auto& now_here = progress_[of.index()];
    const bool missing = now_here.missing;
    now_here = {};
    now_here.restoring = true;
    now_here.missing = missing;
    wanted_.restore(of.index());
    pump(of.index());
}

void core_membership::on_lost(host& of) {
    auto& now_here = progress_[of.index()];
    now_here.missing = now_here.missing || now_here.restoring;
    now_here.restoring = false;
    wanted_.away(of.index());
}

void core_membership::pump(std::size_t host_index) {
    auto& of = *hosts_[host_index];
    auto& now_here = progress_[host_index];
    if (!of.connected() || ended_)
        return;
    const auto room = under_way_max - now_here.under_way;
    for (const auto& change : wanted_.take(host_index, room, now_here.restoring))
        write(of, change);
    if (now_here.restoring && wanted_.back(host_index)) {
        now_here.restoring = false;
        const bool missing = std::exchange(now_here.missing, false);
        const bool settles = missing || (!now_here.asked && of.is_another());
        of.release(settles ? of.settle_time() : std::chrono::milliseconds(0));
    }
}

void core_membership::note_hash(const registry::change& change, const std::string& entry) {
    const auto local = std::string_view(entry).substr(names_.own().size());
    if (!local.starts_with(entry_by_hash))
        return;
    const std::string hash(local.substr(entry_by_hash.size()));
    if (change.wanted)
        groups_by_hash_[hash] = change.name;
    else
        groups_by_hash_.erase(hash);
}

std::string_view core_membership::group_of_hash(std::string_view hash) const noexcept {
    const auto found = groups_by_hash_.find(std::string(hash));
    return found == groups_by_hash_.end() ? std::string_view() : found->second;
}

void core_membership::write(host& of, const registry::change& change) {
    const auto key = names_.group_key(change.name);
    const auto entry = names_.entry_of(change.name);
    note_hash(change, entry);
    ++progress_[of.index()].under_way;
    auto answered = [this, &of, change](result<wire::redis::reply> answer) {
        on_answer(of, change, std::move(answer));
    };
    if (!change.wanted)
        return of.send_now({"ZREM", key, entry}, std::move(answered));
    of.send_now({"ZADD", key, present_score(), entry}, std::move(answered));
    wire::redis::command expire{"EXPIRE", key};
    expire.add(options_.common.group_expiry.count());
    of.send_now(expire, [](const result<wire::redis::reply>&) {});
}

void core_membership::on_answer(host& of, const registry::change& change,
                                result<wire::redis::reply> answer) {
    auto& now_here = progress_[of.index()];
    --now_here.under_way;
    if (!answer)
        return; // the host is lost, and everything will be restored
    if (answer->is_error()) {
        failed_.warn(answer->text, change.name);
        retry_later(of.index());
    }
    if (now_here.restoring && change.wanted && change.told_before) {
        now_here.asked = true;
        now_here.missing = now_here.missing || answer->number > 0; // ZADD's: how many were new
    }
    // Also after an error: nobody shall wait for a group that Redis cannot hold.
    wanted_.acknowledge(of.index(), change);
    pump(of.index());
}

void core_membership::retry_later(std::size_t host_index) {
    if (std::exchange(progress_[host_index].retry_soon, true))
        return;
    if (!retry_)
        retry_ = loop_.at(now() + retry_pause, [this] { retry(); });
}

void core_membership::retry() {
    retry_.reset();
    for (std::size_t index = 0; index < progress_.size(); ++index)
        if (std::exchange(progress_[index].retry_soon, false))
            wanted_.renew(index);
}

void core_membership::end() {
    ended_ = true;
    for (auto* timer : {&renewal_, &retry_}) {
        if (*timer)
            loop_.cancel(**timer);
        timer->reset();
    }
}

void core_membership::renew_later() {
    const auto half =
        std::chrono::duration_cast<std::chrono::milliseconds>(options_.common.group_expiry) / 2;
    renewal_ = loop_.at(now() + half, [this] {
        for (const auto& of : hosts_)
            wanted_.renew(of->index());
        renew_later();
    });
}

} // namespace carillon::channels::redis
