#include "wire/base64.hpp"

#include <algorithm>

#include <doctest/doctest.h>

namespace carillon::wire {

TEST_CASE("the vectors of RFC 4648 section 10 are written and read back") {
    const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                     {"f", "Zg=="},
                                                                     {"fo", "Zm8="},
                                                                     {"foo", "Zm9v"},
                                                                     {"foob", "Zm9vYg=="},
                                                                     {"fooba", "Zm9vYmE="},
                                                                     {"foobar", "Zm9vYmFy"},
                                                                     {"\xfb\xff\xfe", "+//+"}};
    for (const auto& [plain, coded] : vectors) {
        CHECK(base64_encode(as_bytes(plain)) == coded);
        const auto back = base64_decode(coded);
        REQUIRE(back);
        CHECK(as_text(*back) == plain);
    }
}

TEST_CASE(
    "the URL-safe alphabet differs in its last two characters, and neither reads the other's") {
    std::string plain;
    for (int c = 0; c < 256; ++c)
        plain += static_cast<char>(c);
    plain += "\xfb\xff\xfe";
    auto standard = base64_encode(as_bytes(plain));
    const auto url_safe = base64_encode(as_bytes(plain), base64_alphabet::url_safe);
    CHECK(as_text(base64_decode(url_safe, base64_alphabet::url_safe).value()) == plain);
    CHECK_FALSE(base64_decode(url_safe));
    CHECK_FALSE(base64_decode(standard, base64_alphabet::url_safe));
    std::replace(standard.begin(), standard.end(), '+', '-');
    std::replace(standard.begin(), standard.end(), '/', '_');
    CHECK(url_safe == standard);
}

TEST_CASE("base64 text that is not exact is refused") {
    for (const std::string_view text : {"Zg", "Zg=", "Zg= =", "Zh==", "Zm9=", "Zm 9", "Zm9v\n",
                                        "====", "Z===", "=Zg=", "Zm-_", "Zg==Zg=="}) {
        CAPTURE(text);
        CHECK_FALSE(base64_decode(text));
    }
}

} // namespace carillon::wire
