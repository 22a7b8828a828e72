#include "web/streamed_body.hpp"

#include <utility>

namespace carillon::web {

task<bytes> streamed_body::next() {
    arrival more{*this};
    co_await more;
    if (buffer_.empty() && failed_)
        throw error(*failed_);
    auto piece = std::exchange(buffer_, {});
    if (!ended_)
        taken_();
    co_return piece;
}

void streamed_body::push(bytes_view piece) {
    buffer_.insert(buffer_.end(), piece.begin(), piece.end());
    wake();
}

void streamed_body::finish() {
    ended_ = true;
    wake();
}

void streamed_body::fail(failure why) {
    if (ended_ || failed_)
        return;
    failed_ = std::move(why);
    wake();
}

void streamed_body::wake() {
    if (auto waiting = std::exchange(waiting_, nullptr))
        waiting.resume();
}

} // namespace carillon::web
