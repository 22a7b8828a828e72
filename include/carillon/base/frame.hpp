// shared_frame: encoded bytes that many connections share. Built once, immutable, one allocation.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <carillon/base/bytes.hpp>

namespace carillon {

// A counted share of one immutable block. Shares may live on any thread; the block dies with the last one.
// A default-constructed share is empty and holds nothing.
class shared_frame {
public:
    shared_frame() = default;
    // A frame that holds the pieces one after the other.
    static shared_frame copy_of(bytes_view head, bytes_view tail = {});
    static shared_frame copy_of(std::string_view text) { return copy_of(as_bytes(text)); }

    shared_frame(const shared_frame& other) noexcept : block_(other.block_) {
        if (block_)
            block_->shares.fetch_add(1, std::memory_order_relaxed);
    }
    shared_frame(shared_frame&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    shared_frame& operator=(shared_frame other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~shared_frame() {
        if (block_)
            release();
    }

    explicit operator bool() const noexcept { return block_ != nullptr; }
    const std::byte* data() const noexcept { return block_ ? block_->content() : nullptr; }
    std::size_t size() const noexcept { return block_ ? block_->size_bytes : 0; }
    bytes_view view() const noexcept { return {data(), size()}; }
    // True when both are shares of the same block.
    bool same_as(const shared_frame& other) const noexcept { return block_ == other.block_; }

private:
    struct block {
        std::atomic<std::uint32_t> shares;
        std::uint32_t size_bytes;
        std::byte* content() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
    };
    explicit shared_frame(block* owned) noexcept : block_(owned) {}
    void release() noexcept;
    block* block_ = nullptr;
};

} // namespace carillon
