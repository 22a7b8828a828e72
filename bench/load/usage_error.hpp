// The two ways in which a measurement cannot begin: wrong use, and a kernel that refuses.
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace carillon::bench {

class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// The present errno as an exception; `what` names the call.
inline std::system_error system_failure(const char* what) {
    return {errno, std::generic_category(), what};
}

// The present errno as text.
inline std::string system_text() { return std::generic_category().message(errno); }

} // namespace carillon::bench
