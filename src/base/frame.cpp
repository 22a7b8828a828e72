#include <carillon/base/frame.hpp>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include <carillon/base/assert.hpp>

namespace carillon {

shared_frame shared_frame::copy_of(bytes_view head, bytes_view tail) {
    const auto size_bytes = head.size() + tail.size();
    CARILLON_ASSERT(size_bytes <= std::numeric_limits<std::uint32_t>::max(),
                    "a frame is below 4 GiB");
    void* memory = std::malloc(sizeof(block) + size_bytes);
    if (!memory)
        throw std::bad_alloc();
    auto* made = new (memory) block{1, static_cast<std::uint32_t>(size_bytes)};
    if (!head.empty())
        std::memcpy(made->content(), head.data(), head.size());
    if (!tail.empty())
        std::memcpy(made->content() + head.size(), tail.data(), tail.size());
    return shared_frame(made);
}

void shared_frame::release() noexcept {
    if (block_->shares.fetch_sub(1, std::memory_order_acq_rel) == 1)
        std::free(block_);
}

} // namespace carillon
