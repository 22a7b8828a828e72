// core_membership: keeps this process' entries in the groups of Redis as the registry wants them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channels/redis/core_names.hpp"
#include "channels/redis/counters.hpp"
#include "channels/redis/host.hpp"
#include "channels/redis/registry.hpp"

namespace carillon::channels::redis {

// On the I/O thread.
class core_membership {
public:
    // All outlive it.
    core_membership(const redis_layer_options& options, const core_names& names, registry& wanted,
                    std::vector<std::unique_ptr<host>>& hosts, net::loop& on, logger& log);

    // The host is connected: everything is written anew, then the host is released. It settles when entries that it had
    // are gone, or, where there were none, when it is another server: then those of other processes may be gone, too.
    void restore(host& of);
    void on_lost(host& of);
    // Writes the changes that wait, some hundred at a time.
    void pump(std::size_t host_index);
    // From now on, at half of the time after which Redis would forget the entries.
    void renew_later();
    // Nothing is written any more, and no host is released.
    void end();

    // The group whose entry has this hash; empty when it is none of ours.
    std::string_view group_of_hash(std::string_view hash) const noexcept;

private:
    struct progress {
        std::size_t under_way = 0;
        bool restoring = false;
        bool asked = false;   // whether the server still has an entry that it had
        bool missing = false; // it did not have one of them, or its answer was lost
        bool retry_soon = false;
    };
    void write(host& of, const registry::change& change);
    void on_answer(host& of, const registry::change& change, result<wire::redis::reply> answer);
    void note_hash(const registry::change& change, const std::string& entry);
    void retry_later(std::size_t host_index);
    void retry();

    const redis_layer_options& options_;
    const core_names& names_;
    registry& wanted_;
    std::vector<std::unique_ptr<host>>& hosts_;
    net::loop& loop_;
    std::vector<progress> progress_;
    std::unordered_map<std::string, std::string> groups_by_hash_;
    std::optional<net::loop::timer_id> renewal_, retry_;
    bool ended_ = false;
    seldom failed_;
};

} // namespace carillon::channels::redis
