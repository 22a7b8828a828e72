// http_session: the HTTP/1.1 side of a connection: requests one after the other, handlers, answers, and the way over to
// WebSocket.
//
// Lives on its shard's thread. Pipelined requests are answered in order; while one is handled, the connection is not
// read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "net/acceptor.hpp"
#include "net/connection.hpp"
#include "web/site.hpp"
#include "web/streamed_body.hpp"
#include "wire/http/request.hpp"
#include <carillon/base/task.hpp>
#include <carillon/web/request.hpp>
#include <carillon/web/response.hpp>

namespace carillon::web {

class http_session final : public net::protocol, private completion {
public:
    http_session(site& shared, const net::peer_name& peer) : site_(shared), peer_(peer) {}

    void on_bytes(std::span<std::byte> received) override;
    void on_end_of_input() override;
    void on_drained() override;
    std::uint32_t on_reminder() override;
    void on_stop() override;
    void on_ended() noexcept override;
    bool busy() const noexcept override { return busy_; }

private:
    struct exchange {
        request asked;
        const route* matched = nullptr;
        bool keep_alive = true;
        bool has_body = false;
        bool reading = true;   // the request is not whole yet
        bool answered = false; // the answer was written
        bool decided = false;  // `answer` was made without a handler
        response answer;
        std::unique_ptr<streamed_body> stream;
    };

    void consume(bytes_view& rest);
    bool begin_exchange(bytes_view& rest);
    void decide(response answer);
    void upgrade(wire::http::request_head&& head, bytes_view rest);
    void take_body(bytes_view piece);
    void end_of_request();
    void refuse(int status, const char* why);
    void start_handler();
    task<> serve();
    task<> send_file(const response& answer);
    void write_head_and_body(const response& answer, bool with_file);
    void finish_exchange();
    void completed(std::exception_ptr thrown) noexcept override;
    void handler_ended() noexcept;
    void resume_input() noexcept;
    void hold(bytes_view rest);
    void go_on_with_held();
    bool choked();
    bool must_close() const noexcept;

    site& site_;
    const net::peer_name peer_;
    std::unique_ptr<wire::http::request_parser> parser_;
    std::unique_ptr<exchange> exchange_;
    bytes held_; // input that waits for the present exchange to end
    task<> running_;
    std::coroutine_handle<> draining_; // a file's sender that waits for the peer
    std::uint32_t started_ = 0;        // second when the first byte of the present head came
    std::uint32_t idle_since_ = 0;     // second when the last answer had left
    bool head_begun_ = false;          // started_ counts
    bool choked_ = false;              // requests wait until the peer has taken its answers
    bool served_any_ = false;
    bool busy_ = false;
    bool starting_ = false;
    bool finished_ = false;
    bool closing_ = false;
    bool deaf_ = false; // the peer's bytes make no sense any more
    bool stopping_ = false;
    bool upgraded_ = false;
    bool gone_ = false;
    bool input_ended_ = false;
};

} // namespace carillon::web
