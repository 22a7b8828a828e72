// registry: the names (groups, channels) that Redis shall know of this process, and which of them it knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channels/hub.hpp"

namespace carillon::channels::redis {

// Thread-safe. Each name belongs to one host (a shard of the layer). What has to be done comes out as changes, which
// the I/O thread carries out and acknowledges; whatever happens meanwhile, the last state of each name wins. A host is
// away from away() to back(). A name that was wanted and given up while Redis never heard of it leaves nothing behind.
class registry {
public:
    // `host_of` tells a name's host. `changed(host)` is called, on any thread and possibly under a caller's lock, when
    // changes wait that take() would give; not again before it was asked.
    registry(std::size_t hosts, std::function<std::size_t(std::string_view)> host_of,
             std::function<void(std::size_t)> changed);

    // --- any thread, quick ---

    void want(std::string_view name);
    void unwant(std::string_view name);
    // As channel_layer::reaches_members: true when Redis knows the name, when nobody wants it, or when its host is
    // away and not being restored. Else `ready` is called once, on the I/O thread.
    bool reached(std::string_view name, std::function<void()> ready);

    // --- on the I/O thread ---

    struct change {
        std::string name;
        bool wanted = true;
        std::uint64_t version = 0;
        bool told_before = false; // Redis may have known it already
    };
    // At most `most` changes of this host, oldest first; they count as under way. None while the host is away, except
    // with `restoring`.
    std::vector<change> take(std::size_t host, std::size_t most, bool restoring = false);
    // Redis did it. Waiters are called.
    void acknowledge(std::size_t host, const change& done);
    // The host is lost: nothing is known to be registered. Waiters are called. Repeating it does nothing more.
    void away(std::size_t host);
    // Before the names of a host that is connected again are restored: everything is a change again.
    void restore(std::size_t host);
    // True when nothing waits and nothing is under way: the host is no longer away. Else false, and nothing happens.
    bool back(std::size_t host);
    // The same without a look at what still waits: take() gives it at once.
    void return_with_changes(std::size_t host);
    // What is wanted shall be told to Redis again, and stays registered meanwhile.
    void renew(std::size_t host);
    // All names of the host that Redis may know.
    std::vector<std::string> known(std::size_t host) const;
    std::size_t size() const;

private:
    struct entry {
        std::size_t host = 0;
        bool wanted = true;
        bool told = false;       // Redis may know it
        bool registered = false; // Redis knows it
        bool queued = false;     // in its host's changes
        std::uint64_t version = 0;
        std::vector<std::function<void()>> waiters;
    };
    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };
    using entries = std::unordered_map<std::string, entry, text_hash, std::equal_to<>>;
    struct host_state {
        bool is_away = false;
        bool restoring = false; // away, but what is told now will be acknowledged
        bool announced = false; // changed() was called and take() not yet
        std::size_t under_way = 0;
        std::deque<std::string> changes;
        std::vector<std::function<void()>> orphans; // waiters of names that nobody wants any more
    };
    // True when changed() has to be called.
    bool queue(const std::string& name, entry& of);
    void collect_waiters(std::size_t host, std::vector<std::function<void()>>& into);

    const std::function<std::size_t(std::string_view)> host_of_;
    const std::function<void(std::size_t)> changed_;
    mutable std::mutex guard_;
    std::vector<host_state> hosts_;
    entries entries_;
};

// The registry of groups, filled by the hub.
class group_registry final : public registry, public group_watcher {
public:
    using registry::registry;
    void on_first_member(std::string_view group) override { want(group); }
    void on_last_member_left(std::string_view group) override { unwant(group); }
};

} // namespace carillon::channels::redis
