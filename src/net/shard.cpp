#include "net/shard.hpp"

#include <utility>

#include "net/connection.hpp"

namespace carillon::net {

namespace {
thread_local shard* here = nullptr;
}

shard::shard(std::uint32_t index, const environment& shared)
    : index_(index), shared_(shared), started_(now()),
      scratch_(std::make_unique_for_overwrite<std::byte[]>(scratch_bytes)) {
    loop_.on_turn_end([this] { end_turn(); });
    // connections to flush: below it a second look costs more than it gathers
    constexpr std::size_t many = 64;
    loop_.on_look_again([this] {
        outgoing_.send();
        return dirty_.size() >= many;
    });
}

shard::~shard() {
    here = this;
    const outgoing::here gathers(outgoing_);
    for_each_connection([](connection& live) { live.end(); });
    end_turn();
    for_each_connection([](connection& husk) { delete &husk; });
    here = nullptr;
}

shard* shard::current() noexcept { return here; }

void shard::adopt(std::unique_ptr<connection> newcomer) {
    if (!ticking_)
        tick(); // the clock stood while nobody was here; the newcomer's time starts now
    // the wheel and the loop know it from here on; end_turn() buries it
    auto* live = newcomer.release();
    try {
        live->adopt();
    } catch (const std::exception&) { // no memory in the kernel for one more watched descriptor
        live->end();
    }
    if (stopping_)
        live->stop(); // handed over by another shard while the server stopped
}

void shard::stop_connections() {
    stopping_ = true;
    for_each_connection([](connection& live) { live.stop(); });
}

void shard::read_soon(connection& who) {
    if (rereads_.empty())
        loop_.defer([this] { read_again(); });
    rereads_.push_back(&who);
}

void shard::read_again() {
    for (auto* who : std::exchange(rereads_, {}))
        who->read_buffered();
}

void shard::remind(connection& who, std::uint32_t after_seconds) {
    wheel_.schedule(who, second_ + after_seconds);
}

void shard::remind_by(connection& who, std::uint32_t after_seconds) {
    wheel_.schedule_by(who, second_ + after_seconds);
}

// Ticks only while there are connections: an empty server sleeps.
void shard::tick() {
    using namespace std::chrono;
    second_ = static_cast<std::uint32_t>(duration_cast<seconds>(now() - started_).count());
    wheel_.advance(second_, [](wheel_entry& due) { static_cast<connection&>(due).on_due(); });
    ticking_ = connections() > 0;
    if (ticking_)
        loop_.at(started_ + seconds(second_ + 1), [this] { tick(); });
}

void shard::end_turn() {
    outgoing_.send();
    // Flushing may end connections, and ending may queue for others: the list may grow while it is walked.
    for (std::size_t i = 0; i < dirty_.size(); ++i)
        dirty_[i]->flush();
    dirty_.clear();
    // what those that ended here said to other shards; nothing else may wake this one again
    outgoing_.send();
    for (auto* dead : dead_) {
        std::erase(rereads_, dead);
        const int descriptor = dead->fd();
        delete dead;
        if (burial_)
            burial_(descriptor);
    }
    dead_.clear();
}

void shard::run() {
    here = this;
    const outgoing::here gathers(outgoing_);
    loop_.run();
    here = nullptr;
}

} // namespace carillon::net
