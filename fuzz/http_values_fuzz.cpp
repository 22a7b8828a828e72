// Any text as what stands inside a head: targets, forms, cookies, ranges, hosts, dates, extension offers.
#include <string>

#include "input.hpp"
#include "wire/http/response.hpp"
#include "wire/http/target.hpp"
#include "wire/utf8.hpp"
#include "wire/ws/deflate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carillon;
    using namespace carillon::wire::http;
    const std::string text(reinterpret_cast<const char*>(data), size);

    fuzz::must(percent_decode(percent_encode(text)) == percent_decode(percent_encode(text)),
               "decoding is stable");
    if (wire::is_utf8(as_bytes(text)) && text.find('\0') == std::string::npos)
        fuzz::must(percent_decode(percent_encode(text)) == text,
                   "what is encoded is decoded to the same");
    if (const auto t = split_target(text))
        fuzz::must(t->path.starts_with('/') && wire::is_utf8(as_bytes(t->path)), "a path is UTF-8");
    for (const auto& [name, content] : parse_form(text, 50))
        fuzz::must(wire::is_utf8(as_bytes(name)) && wire::is_utf8(as_bytes(content)),
                   "a form is UTF-8");
    fuzz::must(parse_form(text, 3).size() <= 3, "a form keeps its limit");
    parse_cookies(text);
    accepts_gzip(text);
    byte_range range;
    if (parse_range(text, 1000, range) == range_kind::one)
        fuzz::must(range.first <= range.last && range.last < 1000, "a range lies inside");
    etag_matches(text, "\"a\"");
    parse_host(text);
    origin_allowed(text, {"example.com", "https://.example.com:8443", text});
    if (const auto moment = parse_http_date(text))
        fuzz::must(parse_http_date(http_date(*moment)) == moment,
                   "a date is written as it was read");
    if (const auto agreed = wire::ws::negotiate_deflate(text))
        fuzz::must(agreed->server_window_bits >= 9 && agreed->server_window_bits <= 15,
                   "a window zlib can do");
    std::string replaced;
    wire::append_replacing(replaced, text);
    fuzz::must(wire::is_utf8(as_bytes(replaced)), "what is repaired is UTF-8");
    return 0;
}
