// Any bytes as a stream of Redis replies, whole and in pieces as the first byte says: both give the same replies, and a
// small limit of memory is kept.
#include <algorithm>
#include <vector>

#include "input.hpp"
#include "wire/redis/reply.hpp"

namespace {

using namespace carillon;
using wire::redis::reply;
using wire::redis::reply_reader;

struct outcome {
    std::vector<reply> replies;
    bool broke = false;
};

void drain(reply_reader& reader, outcome& out) {
    while (!out.broke) {
        auto next = reader.next();
        if (!next) {
            fuzz::must(next.error().code == errc::corrupt, "a broken stream is corrupt");
            out.broke = true;
        } else if (*next)
            out.replies.push_back(std::move(**next));
        else
            return;
    }
}

bool same(const reply& a, const reply& b) {
    return a.kind == b.kind && a.number == b.number && a.text == b.text &&
           std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), same);
}

std::size_t memory_of(const reply& r) {
    std::size_t sum = sizeof(r) + r.text.size();
    for (const auto& item : r.items)
        sum += memory_of(item);
    return sum;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    constexpr std::size_t limit = 2048;
    const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
    outcome whole, cut;
    reply_reader one(limit), other(limit);
    one.append(stream);
    drain(one, whole);
    fuzz::in_pieces(stream, data[0], [&](std::string_view piece) {
        other.append(piece);
        drain(other, cut);
        return !cut.broke;
    });
    drain(other, cut);
    for (const auto& r : whole.replies)
        fuzz::must(memory_of(r) <= limit, "the limit is kept");
    fuzz::must(std::equal(whole.replies.begin(), whole.replies.end(), cut.replies.begin(),
                          cut.replies.end(), same),
               "the pieces do not matter");
    fuzz::must(whole.broke == cut.broke, "nor for what breaks the stream");
    return 0;
}
