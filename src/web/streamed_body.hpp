// streamed_body: a request's body on its way from the connection to a handler that reads it piece by piece.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <optional>

#include <carillon/web/request.hpp>

namespace carillon::web {

// Lives on the connection's shard.
class streamed_body final : public body_stream {
public:
    // `taken` is called when the handler has emptied the buffer: the connection may be read again.
    streamed_body(std::uint64_t announced_bytes, std::function<void()> taken)
        : announced_bytes_(announced_bytes), taken_(std::move(taken)) {}

    std::uint64_t announced_bytes() const noexcept override { return announced_bytes_; }
    task<bytes> next() override;

    void push(bytes_view piece);
    void finish();
    void fail(failure why);
    std::size_t buffered_bytes() const noexcept { return buffer_.size(); }

private:
    struct arrival {
        streamed_body& body;
        bool await_ready() const noexcept {
            return !body.buffer_.empty() || body.ended_ || body.failed_;
        }
        void await_suspend(std::coroutine_handle<> h) noexcept { body.waiting_ = h; }
        void await_resume() const noexcept {}
    };
    void wake();

    const std::uint64_t announced_bytes_;
    std::function<void()> taken_;
    bytes buffer_;
    bool ended_ = false;
    std::optional<failure> failed_;
    std::coroutine_handle<> waiting_;
};

} // namespace carillon::web
