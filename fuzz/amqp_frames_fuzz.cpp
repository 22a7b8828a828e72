// Any bytes as what a RabbitMQ server sends, in pieces of any size: frames are cut the same way, methods and message
// properties that are read can be written and read to the same.
#include <string>
#include <vector>

#include "input.hpp"
#include "jobs/broker/amqp_codec.hpp"
#include "jobs/broker/amqp_fields.hpp"
#include "wire/celery/message.hpp"

namespace {

using namespace carillon;
using namespace carillon::jobs::amqp;
using wire::celery::message_parts;

struct owned_frame {
    int type;
    int channel;
    std::string payload;
    bool operator==(const owned_frame&) const = default;
};

// Frames until the first flaw or the end; an empty one of type -1 stands for the flaw.
void take_all(frame_reader& from, std::vector<owned_frame>& into) {
    while (into.empty() || into.back().type != -1) {
        const auto next = from.next();
        if (!next)
            return into.push_back({-1, 0, {}});
        if (!*next)
            return;
        into.push_back({(*next)->type, (*next)->channel, std::string((*next)->payload)});
    }
}

void check_method(const owned_frame& f) {
    arena first, second;
    const auto read = read_method(f.payload, first);
    if (!read)
        return;
    std::string written, again;
    const auto channel = static_cast<std::uint16_t>(f.channel);
    if (!append_method(written, channel, read->number, read->fields))
        return; // larger than anything that is written here
    constexpr std::size_t head = 7, end = 1;
    const auto payload = std::string_view(written).substr(head, written.size() - head - end);
    const auto reread = read_method(payload, second);
    fuzz::must(reread && reread->number == read->number, "a method that is written can be read");
    fuzz::must(append_method(again, channel, reread->number, reread->fields) && again == written,
               "it reads to the same");
}

void check_properties(std::string_view properties) {
    message_parts parts;
    const bool whole = read_properties(properties, parts);
    const auto written = write_properties(parts, 2);
    if (!whole || !written)
        return;
    message_parts again;
    fuzz::must(read_properties(*written, again), "properties that are written can be read");
    fuzz::must(write_properties(again, 2).value() == *written, "they read to the same");
    strip_death(parts.headers);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::vector<owned_frame> whole, cut;
    frame_reader one, another;
    one.append(stream);
    take_all(one, whole);
    fuzz::in_pieces(stream, data[0], [&](std::string_view piece) {
        another.append(piece);
        take_all(another, cut);
        return cut.empty() || cut.back().type != -1;
    });
    fuzz::must(whole == cut, "frames are cut the same way from pieces");
    for (const auto& f : whole) {
        if (f.type == AMQP_FRAME_METHOD)
            check_method(f);
        if (f.type == AMQP_FRAME_HEADER)
            if (const auto header = read_content_header(f.payload))
                check_properties(header->properties);
    }
    check_properties(stream);
    return 0;
}
