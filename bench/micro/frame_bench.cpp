// What reading and writing one WebSocket message, one request and one JSON text costs, without sockets.
#include <cstring>
#include <string>

#include <benchmark/benchmark.h>

#include "wire/http/request.hpp"
#include "wire/ws/mask.hpp"
#include "wire/ws/receiver.hpp"
#include "wire/ws/sender.hpp"
#include "wire/ws/test_frames.hpp"
#include <carillon/wire/json.hpp>

namespace {

using namespace carillon;
using namespace carillon::wire;

std::string payload_of(benchmark::State& state) {
    std::string text(static_cast<std::size_t>(state.range(0)), 'x');
    return text;
}

// The copy that restores the masked frame is part of the figure; it costs some nanoseconds.
void receive_text(benchmark::State& state) {
    const auto frame = ws::test::text(payload_of(state));
    auto memory = frame;
    ws::receiver receiver(1 << 24, false);
    ws::inflater shared;
    for (auto _ : state) {
        std::memcpy(memory.data(), frame.data(), frame.size());
        std::span<std::byte> input = std::as_writable_bytes(std::span(memory));
        benchmark::DoNotOptimize(receiver.next(input, shared));
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(receive_text)->Arg(16)->Arg(200)->Arg(4096)->Arg(65536);

void receive_in_two_pieces(benchmark::State& state) {
    const auto frame = ws::test::text(payload_of(state));
    auto memory = frame;
    ws::receiver receiver(1 << 24, false);
    ws::inflater shared;
    for (auto _ : state) {
        std::memcpy(memory.data(), frame.data(), frame.size());
        std::span<std::byte> all = std::as_writable_bytes(std::span(memory));
        auto first = all.first(all.size() / 2);
        auto second = all.subspan(all.size() / 2);
        benchmark::DoNotOptimize(receiver.next(first, shared));
        benchmark::DoNotOptimize(receiver.next(second, shared));
    }
}
BENCHMARK(receive_in_two_pieces)->Arg(200);

void receive_compressed(benchmark::State& state) {
    const std::string text =
        to_json(array(20, object{{"type", "report.progress"}, {"id", 4711}, {"percent", 50}}));
    ws::deflater deflater;
    const auto frame =
        ws::test::frame(0xc1, std::string(as_text(deflater.compress(as_bytes(text), 15))));
    auto memory = frame;
    ws::receiver receiver(1 << 24, true);
    ws::inflater shared;
    for (auto _ : state) {
        std::memcpy(memory.data(), frame.data(), frame.size());
        std::span<std::byte> input = std::as_writable_bytes(std::span(memory));
        benchmark::DoNotOptimize(receiver.next(input, shared));
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(receive_compressed);

void unmask(benchmark::State& state) {
    bytes data(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        ws::apply_mask(data, ws::test::default_key);
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(unmask)->Arg(200)->Arg(65536);

void check_utf8(benchmark::State& state) {
    std::string text;
    while (text.size() < 4096)
        text += state.range(0) ? "\xd0\xb6\xd1\x83\xd0\xba " : "plain ";
    for (auto _ : state)
        benchmark::DoNotOptimize(is_utf8(as_bytes(text)));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(check_utf8)->ArgName("cyrillic")->Arg(0)->Arg(1);

void make_text(benchmark::State& state) {
    const auto text = payload_of(state);
    for (auto _ : state)
        benchmark::DoNotOptimize(ws::make_text(text));
}
BENCHMARK(make_text)->Arg(200)->Arg(4096);

void parse_request(benchmark::State& state) {
    const std::string request =
        "GET /ws/chat/general/?token=abc HTTP/1.1\r\nHost: push.example.com\r\nUpgrade: "
        "websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nOrigin: "
        "https://push.example.com\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0\r\n"
        "Cookie: sessionid=0123456789abcdef0123456789abcdef; csrftoken=0123456789abcdef\r\n\r\n";
    http::request_parser parser({});
    for (auto _ : state) {
        bytes_view input = as_bytes(request);
        benchmark::DoNotOptimize(parser.next(input));
        benchmark::DoNotOptimize(parser.next(input));
        parser.restart();
    }
}
BENCHMARK(parse_request);

const std::string event = R"({"type":"report.progress","data":{"id":4711,"percent":50,)"
                          R"("message":"half way","done":false}})";

void read_json(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(parse_json(event));
}
BENCHMARK(read_json);

void write_json(benchmark::State& state) {
    const auto v = *parse_json(event);
    for (auto _ : state)
        benchmark::DoNotOptimize(to_json(v));
}
BENCHMARK(write_json);

void compress(benchmark::State& state) {
    array items;
    for (int i = 0; i < 8; ++i)
        items.push_back(object{{"type", "report.progress"},
                               {"id", 4711 + i * 37},
                               {"percent", i * 11},
                               {"message", "half way"}});
    const auto text = to_json(items);
    ws::deflater deflater;
    std::size_t size = 0;
    for (auto _ : state)
        size = deflater.compress(as_bytes(text), 15).size();
    state.counters["ratio"] = static_cast<double>(text.size()) / static_cast<double>(size);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(compress);

} // namespace
