// What an event of some 200 bytes costs on its way to and from a Redis channel layer, without sockets.
#include <string>

#include <benchmark/benchmark.h>

#include "wire/layer/message.hpp"
#include "wire/redis/reply.hpp"

namespace {

using namespace carillon;
using namespace carillon::wire;
using layer::message_codec;
using layer::packed_event;
using layer::serializer;

const object members{{"id", 4711},
                     {"percent", 50.5},
                     {"message", "half way through the rows of the third sheet of the file"},
                     {"done", false},
                     {"owner", object{{"name", "somebody"}, {"groups", array{1, 2, 3}}}},
                     {"link", "/reports/4711/sheets/3/rows?from=1000&to=2000"}};
constexpr std::string_view type = "report.progress";
constexpr std::string_view address[] = {
    "specific.0123456789abcdef0123456789abcdef!g.0123456789abcdef"};

message_codec codec_of(bool encrypted, serializer format = serializer::msgpack) {
    layer::codec_options o;
    o.format = format;
    if (encrypted)
        o.keys = {"a key for measurements"};
    return message_codec(o);
}

void pack_event(benchmark::State& state) {
    const auto format = static_cast<serializer>(state.range(0));
    for (auto _ : state)
        benchmark::DoNotOptimize(packed_event::pack(type, members, format));
}
BENCHMARK(pack_event)->ArgName("json")->Arg(0)->Arg(1);

void encode_packed(benchmark::State& state) {
    const auto codec = codec_of(state.range(0) != 0);
    const auto event = packed_event::pack(type, members, serializer::msgpack).value();
    std::size_t size = 0;
    for (auto _ : state)
        size = codec.encode(event, message_codec::addressing::list, address).size();
    state.counters["bytes"] = static_cast<double>(size);
}
BENCHMARK(encode_packed)->ArgName("encrypted")->Arg(0)->Arg(1);

void decode_message(benchmark::State& state) {
    const auto format = static_cast<serializer>(state.range(0));
    const auto codec = codec_of(state.range(1) != 0, format);
    const auto event = packed_event::pack(type, members, format).value();
    const auto data = codec.encode(event, message_codec::addressing::list, address);
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    for (auto _ : state)
        benchmark::DoNotOptimize(codec.decode(data, now));
    state.counters["bytes"] = static_cast<double>(data.size());
}
BENCHMARK(decode_message)
    ->ArgNames({"json", "encrypted"})
    ->Args({0, 0})
    ->Args({1, 0})
    ->Args({0, 1});

// A hundred messages in one piece, as a ZPOPMIN with a count answers.
void read_replies(benchmark::State& state) {
    const std::string one = "$200\r\n" + std::string(200, 'x') + "\r\n";
    std::string stream = "*100\r\n";
    for (int i = 0; i < 100; ++i)
        stream += one;
    redis::reply_reader reader;
    for (auto _ : state) {
        reader.append(stream);
        benchmark::DoNotOptimize(reader.next());
    }
    state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(read_replies);

} // namespace
