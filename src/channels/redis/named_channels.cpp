#include "channels/redis/named_channels.hpp"

#include <condition_variable>
#include <deque>
#include <optional>
#include <utility>

namespace carillon::channels::redis {

struct named_channels::queue {
    std::mutex guard;
    std::condition_variable changed;
    std::deque<event> waiting;
    bool ended = false;
    std::size_t sources = 0; // under the owner's lock
};

class named_channels::source final : public channel_source {
public:
    source(named_channels& of, std::string channel, std::shared_ptr<queue> from)
        : of_(of), channel_(std::move(channel)), from_(std::move(from)) {}
    ~source() override { of_.leave(channel_); }

    std::optional<event> receive(steady_time deadline) override {
        std::unique_lock lock(from_->guard);
        from_->changed.wait_until(lock, deadline,
                                  [&] { return over() || !from_->waiting.empty(); });
        if (over() || from_->waiting.empty())
            return std::nullopt;
        auto taken = std::move(from_->waiting.front());
        from_->waiting.pop_front();
        return taken;
    }

    void interrupt() override {
        {
            std::lock_guard lock(from_->guard);
            interrupted_ = true;
        }
        from_->changed.notify_all();
    }

private:
    bool over() const { return interrupted_ || from_->ended; }

    named_channels& of_;
    const std::string channel_;
    const std::shared_ptr<queue> from_;
    bool interrupted_ = false;
};

named_channels::named_channels(std::uint32_t capacity, counter& full, watcher opened,
                               watcher closed)
    : capacity_(capacity), full_(full), opened_(std::move(opened)), closed_(std::move(closed)) {}

named_channels::~named_channels() = default;

std::unique_ptr<channel_source> named_channels::open(std::string_view channel) {
    std::string name(channel);
    std::lock_guard lock(guard_);
    auto& of = queues_[name];
    if (!of) {
        of = std::make_shared<queue>();
        of->ended = ended_;
    }
    if (of->sources++ == 0)
        opened_(name);
    auto from = of;
    return std::make_unique<source>(*this, std::move(name), std::move(from));
}

void named_channels::leave(const std::string& channel) {
    std::lock_guard lock(guard_);
    const auto found = queues_.find(channel);
    if (--found->second->sources > 0)
        return;
    queues_.erase(found);
    closed_(channel);
}

std::shared_ptr<named_channels::queue> named_channels::find(std::string_view channel) const {
    std::lock_guard lock(guard_);
    const auto found = queues_.find(std::string(channel));
    return found == queues_.end() ? nullptr : found->second;
}

bool named_channels::is_open(std::string_view channel) const { return find(channel) != nullptr; }

bool named_channels::push(std::string_view channel, const event& e) {
    const auto to = find(channel);
    if (!to)
        return false;
    {
        std::lock_guard lock(to->guard);
        if (to->waiting.size() >= capacity_) {
            full_.add();
            return true;
        }
        to->waiting.push_back(e);
    }
    // All, since the one that is woken may have been interrupted at the same time.
    to->changed.notify_all();
    return true;
}

void named_channels::end() {
    std::lock_guard lock(guard_);
    ended_ = true;
    for (auto& [name, of] : queues_) {
        {
            std::lock_guard of_queue(of->guard);
            of->ended = true;
        }
        of->changed.notify_all();
    }
}

} // namespace carillon::channels::redis
