// Any text as a list element of Celery's Redis transport and as an entry of unacknowledged deliveries: what is read can
// be written and reads to the same, also once it is put back.
#include <string>

#include "input.hpp"
#include "wire/celery/envelope.hpp"

namespace {

using namespace carillon;
using namespace carillon::wire::celery;

// NaN differs from itself; equal texts are what matters.
std::string text_of(const object& o) {
    message_parts parts;
    envelope e;
    e.parts.headers = o;
    e.delivery_tag = "t";
    return encode_envelope(std::move(e)).value();
}

void check(const envelope& e) {
    const auto written = encode_envelope(e);
    fuzz::must(written.has_value(), "what is read can be written");
    const auto again = decode_envelope(*written);
    fuzz::must(again.has_value(), "what is written can be read");
    fuzz::must(again->parts.body == e.parts.body && again->delivery_tag == e.delivery_tag &&
                   again->exchange == e.exchange && again->routing_key == e.routing_key &&
                   again->redelivered == e.redelivered &&
                   text_of(again->parts.headers) == text_of(e.parts.headers) &&
                   text_of(again->parts.properties) == text_of(e.parts.properties),
               "it reads to the same");
    const auto restored = restored_element(e);
    fuzz::must(restored.has_value() && decode_envelope(*restored)->redelivered,
               "what is put back says so");
    const auto entry = decode_unacked(encode_unacked(*written, e.exchange, e.routing_key));
    fuzz::must(entry.has_value() && entry->delivered.delivery_tag == e.delivery_tag,
               "what waits for its acknowledgement can be read");
    static_cast<void>(identify(e.parts));
    if (auto m = decode(e.parts.headers, e.parts.properties, e.parts.body)) {
        const auto parts = encode_parts(*m);
        fuzz::must(parts.has_value(), "a message that is read can be written");
        fuzz::must(decode(parts->headers, parts->properties, parts->body).has_value(),
                   "a message that is written can be read");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const auto e = decode_envelope(input))
        check(*e);
    if (const auto entry = decode_unacked(input))
        check(entry->delivered);
    const redis_names names;
    if (const auto b = names.read_binding_member(input))
        fuzz::must(names.binding_member(*b) == input, "a binding is written as it was");
    return 0;
}
