// Files embedded into the program at build time; tools/embed_assets.py writes the tables.
#pragma once

#include <span>
#include <string_view>

#include <carillon/base/bytes.hpp>
#include <carillon/web/response.hpp>
#include <carillon/web/routes.hpp>

namespace carillon {

// All views live as long as the program.
struct asset {
    // Absolute URL path: "/reports/" for a page, "/assets/…" for what pages load.
    std::string_view path;
    std::string_view content_type;
    // Strong and quoted: the first 16 hex digits of the content's SHA-256.
    std::string_view etag;
    bytes_view content;
    // The same content as a gzip stream; empty when that is not smaller, and for pages with placeholders.
    bytes_view gzip;
    // The path holds a hash of the content, so that "Cache-Control: public, max-age=31536000, immutable" is right.
    bool immutable = false;
};

// A GET route for each asset, with ETag, ranges and gzip. In pages the text __CARILLON_DEMO__ is replaced by 1 or 0.
routes asset_routes(std::span<const asset> table, bool demo);

// The page of that path, for a handler that shares its address with JSON. An unknown path is a programmer error.
response asset_page(std::span<const asset> table, std::string_view path, bool demo);

} // namespace carillon
