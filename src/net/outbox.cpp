#include "net/outbox.hpp"

#include <utility>

#include <carillon/base/assert.hpp>

namespace carillon::net {

outbox::~outbox() { clear(); }

void outbox::push(shared_frame frame) {
    if (frame.size() == 0)
        return;
    if (count_ == capacity_)
        grow();
    pending_bytes_ += frame.size();
    ++count_;
    at(count_ - 1) = std::move(frame);
}

void outbox::grow() {
    auto* larger = new shared_frame[capacity_ * 2];
    for (std::uint32_t i = 0; i < count_; ++i)
        larger[i] = std::move(at(i));
    if (slots_ != inline_)
        delete[] slots_;
    slots_ = larger;
    capacity_ *= 2;
    head_ = 0;
}

std::size_t outbox::gather(std::span<iovec> parts) const noexcept {
    std::size_t used = 0;
    for (; used < parts.size() && used < count_; ++used) {
        const auto& frame = at(static_cast<std::uint32_t>(used));
        const std::size_t skip = used == 0 ? head_sent_ : 0;
        parts[used].iov_base = const_cast<std::byte*>(frame.data()) + skip;
        parts[used].iov_len = frame.size() - skip;
    }
    return used;
}

void outbox::consume(std::size_t sent) noexcept {
    CARILLON_ASSERT(sent <= pending_bytes_, "no more is sent than was pending");
    pending_bytes_ -= sent;
    while (count_ > 0) {
        const auto left = at(0).size() - head_sent_;
        if (sent < left) {
            head_sent_ += static_cast<std::uint32_t>(sent);
            return;
        }
        sent -= left;
        head_sent_ = 0;
        at(0) = {};
        head_ = (head_ + 1) & (capacity_ - 1);
        --count_;
    }
    give_back();
}

void outbox::clear() noexcept {
    for (; count_ > 0; --count_)
        at(count_ - 1) = {};
    head_sent_ = 0;
    pending_bytes_ = 0;
    give_back();
}

void outbox::drop_unsent(std::size_t promised_bytes) noexcept {
    std::uint32_t kept = head_sent_ > 0 ? 1 : 0;
    std::size_t kept_bytes = kept ? at(0).size() - head_sent_ : 0;
    while (kept < count_ && kept_bytes < promised_bytes)
        kept_bytes += at(kept++).size();
    while (count_ > kept) {
        pending_bytes_ -= at(count_ - 1).size();
        at(--count_) = {};
    }
}

void outbox::give_back() noexcept {
    if (slots_ != inline_)
        delete[] std::exchange(slots_, inline_);
    capacity_ = inline_slots;
    head_ = 0;
}

} // namespace carillon::net
