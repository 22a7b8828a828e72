// CARILLON_ASSERT: programmer errors. Always on; prints the broken promise and aborts.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace carillon::detail {

[[noreturn]] inline void assertion_failed(const char* condition, const char* promise,
                                          const char* file, int line) noexcept {
    std::fprintf(stderr, "%s:%d: broken promise: %s (%s)\n", file, line, promise, condition);
    std::abort();
}

} // namespace carillon::detail

#define CARILLON_ASSERT(condition, promise)                                                        \
    do {                                                                                           \
        if (!(condition)) [[unlikely]]                                                             \
            ::carillon::detail::assertion_failed(#condition, promise, __FILE__, __LINE__);         \
    } while (false)
