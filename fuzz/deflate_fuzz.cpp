// Any bytes as a compressed message must keep the limit; any message must come back from being compressed.
#include <algorithm>

#include "input.hpp"
#include "wire/ws/deflate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carillon;
    using namespace carillon::wire::ws;
    if (size < 1)
        return 0;
    static deflater out;
    static inflater in;
    const bytes message(reinterpret_cast<const std::byte*>(data + 1),
                        reinterpret_cast<const std::byte*>(data + size));

    const std::size_t bytes_max = data[0] & 1 ? 50 : 100000;
    bytes grown;
    const auto first = in.inflate(message, bytes_max, grown);
    fuzz::must(grown.size() <= bytes_max, "a message keeps the limit");
    bytes again;
    fuzz::must(in.inflate(message, bytes_max, again) == first && again == grown,
               "nothing stays from one message to the next");

    const int window_bits = 9 + (data[0] >> 1) % 7;
    bytes back;
    const auto compressed = out.compress(message, window_bits);
    fuzz::must(in.inflate(compressed, message.size(), back) == inflater::outcome::ok,
               "what is compressed is inflated");
    fuzz::must(back == message, "to the same");
    return 0;
}
