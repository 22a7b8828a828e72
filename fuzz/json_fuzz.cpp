// Any bytes as JSON: what is read is written to a text that reads to the same; any text may be written as a string.
#include <string>

#include <carillon/wire/json.hpp>

#include "input.hpp"
#include "wire/utf8.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carillon;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto v = parse_json(text)) {
        const auto written = to_json(*v);
        fuzz::must(wire::is_utf8(as_bytes(written)), "JSON is UTF-8");
        fuzz::must(written.find("</") == std::string::npos, "no end tag stands in JSON");
        const auto again = parse_json(written);
        fuzz::must(again.has_value(), "what is written can be read");
        fuzz::must(*again == *v, "it reads to the same");
        fuzz::must(to_json(*again) == written, "and is written the same");
    }
    std::string quoted;
    append_json_string(quoted, text);
    const auto back = parse_json(quoted);
    std::string expected;
    wire::append_replacing(expected, text);
    fuzz::must(back && back->to_text() == expected, "any text may be written as a string");
    return 0;
}
