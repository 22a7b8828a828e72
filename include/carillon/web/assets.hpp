// A file embedded into the program at build time; tools/embed_assets.py writes the tables.
#pragma once

#include <carillon/base/bytes.hpp>

#include <string_view>

namespace carillon::web {

// All views live as long as the program.
struct asset {
    // Absolute URL path: "/reports/" for a page, "/assets/…" for what pages load.
    std::string_view path;
    std::string_view content_type;
    // Strong and quoted: the first 16 hex digits of the content's SHA-256. Weaken or extend it when the body is changed
    // on its way out (a page whose placeholders are replaced).
    std::string_view etag;
    bytes_view content;
    // The same content as a gzip stream; empty when that is not smaller, and for pages with placeholders.
    bytes_view gzip;
    // The path holds a hash of the content, so that "Cache-Control: public, max-age=31536000, immutable" is right.
    bool immutable = false;
};

} // namespace carillon::web
