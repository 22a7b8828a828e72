#include <carillon/base/error.hpp>

namespace carillon {

std::string_view name_of(errc code) noexcept {
    switch (code) {
    case errc::bad_request: return "bad_request";
    case errc::unauthorized: return "unauthorized";
    case errc::forbidden: return "forbidden";
    case errc::not_found: return "not_found";
    case errc::method_not_allowed: return "method_not_allowed";
    case errc::conflict: return "conflict";
    case errc::too_large: return "too_large";
    case errc::unsupported_media: return "unsupported_media_type";
    case errc::invalid: return "invalid";
    case errc::too_many_requests: return "too_many_requests";
    case errc::unavailable: return "unavailable";
    case errc::channel_full: return "channel_full";
    case errc::timed_out: return "timed_out";
    case errc::cancelled: return "cancelled";
    case errc::closed: return "closed";
    case errc::corrupt: return "corrupt";
    case errc::internal: return "internal_error";
    }
    return "internal_error";
}

} // namespace carillon
