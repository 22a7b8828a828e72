#include "channels/redis/registry.hpp"

#include <utility>

namespace carillon::channels::redis {

namespace {

void call_all(const std::vector<std::function<void()>>& waiters) {
    for (const auto& ready : waiters)
        ready();
}

void move_to(std::vector<std::function<void()>>& into, std::vector<std::function<void()>>& from) {
    for (auto& ready : from)
        into.push_back(std::move(ready));
    from.clear();
}

} // namespace

registry::registry(std::size_t hosts, std::function<std::size_t(std::string_view)> host_of,
                   std::function<void(std::size_t)> changed)
    : host_of_(std::move(host_of)), changed_(std::move(changed)), hosts_(hosts) {}

bool registry::queue(const std::string& name, entry& of) {
    auto& host = hosts_[of.host];
    if (!std::exchange(of.queued, true))
        host.changes.push_back(name);
    return !host.is_away && !std::exchange(host.announced, true);
}

void registry::want(std::string_view name) {
    std::unique_lock lock(guard_);
    auto found = entries_.find(name);
    if (found == entries_.end()) {
        found = entries_.emplace(std::string(name), entry{}).first;
        found->second.host = host_of_(name);
    }
    auto& of = found->second;
    of.wanted = true;
    ++of.version;
    const auto host = of.host;
    const bool announce = queue(found->first, of);
    lock.unlock();
    if (announce)
        changed_(host);
}

void registry::unwant(std::string_view name) {
    std::unique_lock lock(guard_);
    const auto found = entries_.find(name);
    if (found == entries_.end() || !found->second.wanted)
        return;
    auto& of = found->second;
    of.wanted = false;
    of.registered = false;
    ++of.version;
    const auto host = of.host;
    // They must not be called here: the caller holds a lock.
    move_to(hosts_[host].orphans, of.waiters);
    const bool announce = queue(found->first, of);
    lock.unlock();
    if (announce)
        changed_(host);
}

bool registry::reached(std::string_view name, std::function<void()> ready) {
    std::lock_guard lock(guard_);
    const auto found = entries_.find(name);
    if (found == entries_.end())
        return true;
    auto& of = found->second;
    const auto& host = hosts_[of.host];
    if (!of.wanted || of.registered || (host.is_away && !host.restoring))
        return true;
    of.waiters.push_back(std::move(ready));
    return false;
}

std::vector<registry::change> registry::take(std::size_t host, std::size_t most, bool restoring) {
    std::vector<change> taken;
    std::vector<std::function<void()>> orphans;
    {
        std::lock_guard lock(guard_);
        auto& of_host = hosts_[host];
        of_host.announced = false;
        orphans.swap(of_host.orphans);
        while (taken.size() < most && !of_host.changes.empty() && (!of_host.is_away || restoring)) {
            const auto name = std::move(of_host.changes.front());
            of_host.changes.pop_front();
            const auto found = entries_.find(name);
            auto& of = found->second;
            of.queued = false;
            if (!of.wanted && !of.told) {
                entries_.erase(found);
                continue;
            }
            ++of_host.under_way;
            taken.push_back({name, of.wanted, of.version, std::exchange(of.told, true)});
        }
        // What is left is told of again by whoever acknowledges.
        of_host.announced = !of_host.changes.empty();
    }
    call_all(orphans);
    return taken;
}

void registry::acknowledge(std::size_t host, const change& done) {
    std::vector<std::function<void()>> waiters;
    {
        std::lock_guard lock(guard_);
        --hosts_[host].under_way;
        const auto found = entries_.find(done.name);
        if (found == entries_.end() || found->second.version != done.version)
            return;
        auto& of = found->second;
        if (!done.wanted) {
            // A renewal may have queued it meanwhile; take() forgets it then.
            of.told = false;
            if (!of.queued)
                entries_.erase(found);
            return;
        }
        of.registered = true;
        waiters.swap(of.waiters);
    }
    call_all(waiters);
}

void registry::collect_waiters(std::size_t host, std::vector<std::function<void()>>& into) {
    for (auto& [name, of] : entries_)
        if (of.host == host) {
            of.registered = false;
            move_to(into, of.waiters);
        }
    move_to(into, hosts_[host].orphans);
}

void registry::away(std::size_t host) {
    std::vector<std::function<void()>> waiters;
    {
        std::lock_guard lock(guard_);
        const bool restoring = std::exchange(hosts_[host].restoring, false);
        if (std::exchange(hosts_[host].is_away, true) && !restoring)
            return;
        collect_waiters(host, waiters);
    }
    call_all(waiters);
}

void registry::restore(std::size_t host) {
    std::lock_guard lock(guard_);
    auto& of_host = hosts_[host];
    of_host.is_away = of_host.restoring = true;
    of_host.under_way = 0;
    for (auto& [name, of] : entries_)
        if (of.host == host && (of.wanted || of.told))
            queue(name, of);
}

bool registry::back(std::size_t host) {
    std::lock_guard lock(guard_);
    auto& of_host = hosts_[host];
    if (!of_host.changes.empty() || of_host.under_way > 0)
        return false;
    of_host.is_away = of_host.restoring = false;
    of_host.announced = false;
    return true;
}

void registry::return_with_changes(std::size_t host) {
    std::lock_guard lock(guard_);
    hosts_[host].is_away = hosts_[host].restoring = false;
    hosts_[host].announced = true; // until take() was called
}

void registry::renew(std::size_t host) {
    bool announce = false;
    {
        std::lock_guard lock(guard_);
        for (auto& [name, of] : entries_)
            if (of.host == host && of.wanted)
                announce = queue(name, of) || announce;
    }
    if (announce)
        changed_(host);
}

std::vector<std::string> registry::known(std::size_t host) const {
    std::lock_guard lock(guard_);
    std::vector<std::string> names;
    for (const auto& [name, of] : entries_)
        if (of.host == host && of.told)
            names.push_back(name);
    return names;
}

std::size_t registry::size() const {
    std::lock_guard lock(guard_);
    return entries_.size();
}

} // namespace carillon::channels::redis
