// What an event costs on its way: made, encoded, found by its group, handed to each member.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "channels/group_table.hpp"

namespace {

using namespace carillon;

event sample_event() {
    return {"bench.message",
            {{"progress", 40}, {"status", "in_progress"}, {"message", "40% complete"}}};
}

class counting_member final : public channels::subscriber {
public:
    void on_event(const event& e, const std::shared_ptr<void>&) noexcept override {
        benchmark::DoNotOptimize(e.handler().data());
        ++heard;
    }
    std::uint64_t heard = 0;
};

void make_event(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(sample_event());
}
BENCHMARK(make_event);

void encode_event(benchmark::State& state) {
    static constexpr auto shown = only("progress", "status", "message");
    const auto e = sample_event();
    for (auto _ : state)
        benchmark::DoNotOptimize(e.text(shown));
}
BENCHMARK(encode_event);

// The second and every further consumer that sends the same event.
void find_kept_encoding(benchmark::State& state) {
    const auto e = sample_event();
    e.keep(whole_event, 0, shared_frame::copy_of(e.text()));
    for (auto _ : state)
        benchmark::DoNotOptimize(e.kept(whole_event, 0));
}
BENCHMARK(find_kept_encoding);

// Time per member: the figure divided by the number of members.
void dispatch_to_group(benchmark::State& state) {
    channels::group_table table;
    std::vector<std::unique_ptr<counting_member>> members;
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        members.push_back(std::make_unique<counting_member>());
        table.join("room", *members.back());
    }
    const auto e = sample_event();
    for (auto _ : state)
        benchmark::DoNotOptimize(table.dispatch("room", e));
    state.SetItemsProcessed(state.iterations() * state.range(0));
    for (auto& one : members)
        table.leave("room", *one);
}
BENCHMARK(dispatch_to_group)->Arg(1)->Arg(1000)->Arg(10000);

void join_and_leave(benchmark::State& state) {
    channels::group_table table;
    counting_member resident, visitor;
    table.join("room", resident);
    for (auto _ : state) {
        table.join("room", visitor);
        table.leave("room", visitor);
    }
    table.leave("room", resident);
}
BENCHMARK(join_and_leave);

} // namespace
