#include <carillon/web/assets.hpp>

#include <algorithm>

#include "web/static_content.hpp"
#include "wire/http/target.hpp"
#include <carillon/base/assert.hpp>

namespace carillon {

namespace {

constexpr std::string_view demo_placeholder = "__CARILLON_DEMO__";
// Everything comes from the site itself; styles may stand in the markup because React writes them there.
constexpr std::string_view page_policy =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'";

response page(const asset& source, bool demo) {
    std::string html(as_text(source.content));
    if (const auto at = html.find(demo_placeholder); at != std::string::npos)
        html.replace(at, demo_placeholder.size(), demo ? "1" : "0");
    response answer;
    answer.with("Content-Type", source.content_type)
        .with("Cache-Control", "no-cache")
        .with("Vary", "Accept");
    answer.with("Content-Security-Policy", page_policy);
    answer.body = std::move(html);
    return answer;
}

// Both forms of one asset, ready to be sent without a copy.
struct prepared_asset {
    const asset* source;
    shared_frame plain;
    shared_frame gzip;

    response answer(const request& asked) const {
        const bool small = gzip && wire::http::accepts_gzip(asked.header("accept-encoding"));
        const auto& frame = small ? gzip : plain;
        web::representation there;
        there.content_type = source->content_type;
        there.etag = source->etag;
        if (small)
            // another encoding is another representation
            there.etag.insert(there.etag.size() - 1, "-gz");
        there.cache_control =
            source->immutable ? "public, max-age=31536000, immutable" : "no-cache";
        there.size_bytes = frame.size();
        there.gzipped = small;
        there.varies = static_cast<bool>(gzip);
        auto part = web::select_part(asked, there);
        if (part.with_body)
            part.answer.shared_body =
                part.size_bytes == frame.size()
                    ? frame
                    : shared_frame::copy_of(frame.view().subspan(part.first, part.size_bytes));
        return std::move(part.answer);
    }
};

} // namespace

routes asset_routes(std::span<const asset> table, bool demo) {
    routes made;
    for (const auto& one : table) {
        const std::string path(one.path);
        if (one.content_type.starts_with("text/html")) {
            made.push_back(get(path, [&one, demo](request&) { return page(one, demo); }));
            continue;
        }
        prepared_asset ready{&one, shared_frame::copy_of(one.content), {}};
        if (!one.gzip.empty())
            ready.gzip = shared_frame::copy_of(one.gzip);
        made.push_back(get(path, [ready](request& asked) { return ready.answer(asked); }));
    }
    return made;
}

response asset_page(std::span<const asset> table, std::string_view path, bool demo) {
    const auto found = std::ranges::find(table, path, &asset::path);
    CARILLON_ASSERT(found != table.end(), "the page is embedded");
    return page(*found, demo);
}

} // namespace carillon
