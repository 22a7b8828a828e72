// Any bytes as a message of a Redis channel layer. The first byte says how the layer is configured. What is read can be
// written and reads to the same, and encryption changes nothing of it.
#include <string>

#include "input.hpp"
#include "wire/layer/message.hpp"
#include "wire/msgpack.hpp"

namespace {

using namespace carillon;
using namespace carillon::wire;
using layer::message_codec;

constexpr unix_seconds now{std::chrono::seconds{1'700'000'000}};
// The first is that of the vectors, so that tokens of the corpus are opened.
constexpr const char* key_texts[] = {"correct horse battery staple, 32+ bytes of entropy!",
                                     "second"};

message_codec codec_of(std::uint8_t how, bool encrypted) {
    layer::codec_options o;
    o.format = how & 1u ? layer::serializer::json : layer::serializer::msgpack;
    o.random_prefix_bytes = how & 2u ? 12 : 0;
    if (encrypted)
        o.keys.assign(std::begin(key_texts), std::end(key_texts));
    if (how & 8u)
        o.age_max = std::chrono::seconds{70};
    return message_codec(o);
}

// The payload of the message, written anew.
std::string written(const message_codec& codec, const layer::decoded_message& m) {
    const auto packed = layer::packed_event::pack(m.type, m.members, codec.format());
    fuzz::must(packed.has_value(), "what is read can be packed");
    const std::vector<std::string_view> to(m.channels.begin(), m.channels.end());
    return codec.encode(*packed, message_codec::addressing::list, to);
}

void read_and_write(std::uint8_t how, std::string_view data) {
    const auto bare = static_cast<std::uint8_t>(how & ~2u);
    const auto reader = codec_of(how, how & 4u);
    const auto read = reader.decode(data, now);
    if (!read) {
        fuzz::must(read.error().code == errc::corrupt, "a refusal says corrupt");
        return;
    }
    const auto plain = codec_of(bare, false);
    const auto once = written(plain, *read);
    const auto again = plain.decode(once, now);
    fuzz::must(again.has_value(), "what is written can be read");
    // Not the values: NaN is not equal to itself.
    fuzz::must(written(plain, *again) == once, "it reads to the same");
    fuzz::must(again->type == read->type && again->channels == read->channels,
               "type and channels stay");

    const auto encrypted = codec_of(static_cast<std::uint8_t>(bare & ~8u), true);
    const auto opened = encrypted.decode(written(encrypted, *read), now);
    fuzz::must(opened && written(plain, *opened) == once, "encryption changes nothing");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    read_and_write(data[0], rest);
    if (const auto v = parse_msgpack(rest)) {
        std::string once, again;
        fuzz::must(append_msgpack(once, *v).has_value(), "what is read can be written");
        fuzz::must(once.size() <= rest.size() * 9, "shortest forms, and 64-bit floats");
        const auto back = parse_msgpack(once);
        fuzz::must(back && append_msgpack(again, *back) && again == once, "and reads to the same");
    }
    return 0;
}
