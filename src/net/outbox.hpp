// outbox: what one connection still has to send. It owns no bytes, only shares of frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/uio.h>

#include <carillon/base/frame.hpp>

namespace carillon::net {

// A queue of frames with a position in the first. Two frames fit without a heap allocation; more memory is given back
// as soon as all is sent. Not thread-safe.
class outbox {
public:
    static constexpr std::size_t gather_max = 64; // pieces in one write

    outbox() = default;
    outbox(const outbox&) = delete;
    ~outbox();

    bool empty() const noexcept { return count_ == 0; }
    std::size_t pending_bytes() const noexcept { return pending_bytes_; }
    std::size_t frames() const noexcept { return count_; }

    void push(shared_frame frame);
    // The unsent bytes, in order, as pieces for one vectored write; at most parts.size() of them.
    std::size_t gather(std::span<iovec> parts) const noexcept;
    // The first `sent` unsent bytes have left.
    void consume(std::size_t sent) noexcept;
    void clear() noexcept;
    // Drops every frame of which no byte has left, nor is among the next `promised_bytes`.
    void drop_unsent(std::size_t promised_bytes = 0) noexcept;

private:
    static constexpr std::uint32_t inline_slots = 2;
    shared_frame& at(std::uint32_t i) const noexcept {
        return slots_[(head_ + i) & (capacity_ - 1)];
    }
    void grow();
    void give_back() noexcept;

    mutable shared_frame inline_[inline_slots];
    shared_frame* slots_ = inline_;
    std::uint32_t capacity_ = inline_slots; // a power of two
    std::uint32_t head_ = 0;
    std::uint32_t count_ = 0;
    std::uint32_t head_sent_ = 0; // bytes of the first frame that have left
    std::size_t pending_bytes_ = 0;
};

} // namespace carillon::net
