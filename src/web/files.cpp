#include <carillon/web/routes.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>
#include <sys/stat.h>

#include "web/static_content.hpp"
#include "web/text.hpp"
#include "wire/gzip.hpp"
#include "wire/http/response.hpp"
#include "wire/http/target.hpp"

namespace carillon {

namespace {

std::string type_of(const std::filesystem::path& file) {
    static const std::map<std::string, std::string, std::less<>> known{
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".txt", "text/plain; charset=utf-8"},
        {".csv", "text/csv; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".gif", "image/gif"},
        {".webp", "image/webp"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".pdf", "application/pdf"},
        {".wasm", "application/wasm"},
        {".map", "application/json"}};
    const auto found = known.find(web::lower(file.extension().string()));
    return found == known.end() ? "application/octet-stream" : found->second;
}

// The path inside the folder, if every part of it may be served.
std::optional<std::filesystem::path> sound_path(std::string_view wanted) {
    const std::filesystem::path relative(wanted);
    if (relative.empty() || relative.is_absolute())
        return {};
    for (const auto& part : relative)
        if (part.empty() || part.string().starts_with('.'))
            return {};
    return relative;
}

bool regular_file(const std::filesystem::path& path, struct stat& about) {
    return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

// Also refuses links that lead out of the folder.
bool inside(const std::filesystem::path& folder, const std::filesystem::path& file) {
    std::error_code problem;
    const auto real_folder = std::filesystem::canonical(folder, problem);
    const auto real_file = std::filesystem::canonical(file, problem);
    if (problem)
        return false;
    const auto [end, ignored] =
        std::mismatch(real_folder.begin(), real_folder.end(), real_file.begin(), real_file.end());
    return end == real_folder.end();
}

// Text of a moderate size is compressed as it is asked for; anything else as it lies there.
constexpr std::uint64_t gzip_bytes_min = 256;
constexpr std::uint64_t gzip_bytes_max = 1024 * 1024;

bool worth_compressing(const web::representation& there) {
    const auto& type = there.content_type;
    const bool text = type.starts_with("text/") || type.starts_with("application/json") ||
                      type.starts_with("image/svg") || type.starts_with("application/wasm");
    return text && there.size_bytes >= gzip_bytes_min && there.size_bytes <= gzip_bytes_max;
}

shared_frame compressed_content(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    return shared_frame::copy_of(wire::gzip(as_bytes(content)));
}

response serve_file(const std::filesystem::path& folder, const request& asked) {
    const auto relative = sound_path(asked.kwarg("path"));
    auto file = relative ? folder / *relative : folder;
    struct stat about {};
    if (!relative || !regular_file(file, about) || !inside(folder, file))
        throw error(errc::not_found, "there is no such file");
    web::representation there;
    there.content_type = type_of(file);
    // A file compressed beforehand, as build tools leave it beside the original.
    auto compressed = file;
    compressed += ".gz";
    struct stat about_compressed {};
    const bool beforehand =
        regular_file(compressed, about_compressed) && inside(folder, compressed);
    there.size_bytes = static_cast<std::uint64_t>(about.st_size);
    there.varies = beforehand || worth_compressing(there);
    there.gzipped = there.varies && wire::http::accepts_gzip(asked.header("accept-encoding"));
    shared_frame content;
    if (there.gzipped && beforehand) {
        file = compressed;
        about = about_compressed;
        there.size_bytes = static_cast<std::uint64_t>(about.st_size);
    } else if (there.gzipped) {
        content = compressed_content(file);
        there.size_bytes = content.size();
    }
    there.etag = fmt::format("\"{:x}-{:x}{:x}{}\"", there.size_bytes, about.st_mtim.tv_sec,
                             about.st_mtim.tv_nsec, there.gzipped ? "-gz" : "");
    there.last_modified = wire::http::http_date(about.st_mtim.tv_sec);
    there.cache_control = "no-cache";
    auto part = web::select_part(asked, there);
    if (part.with_body && content) {
        part.answer.shared_body =
            shared_frame::copy_of(content.view().subspan(part.first, part.size_bytes));
    } else if (part.with_body && part.size_bytes > 0) {
        part.answer.file_path = file;
        part.answer.file_offset = part.first;
        part.answer.file_bytes = part.size_bytes;
    }
    return std::move(part.answer);
}

} // namespace

route files(std::string path_prefix, std::string folder) {
    return get(path_prefix + "<path:path>",
               on_thread([folder = std::filesystem::path(std::move(folder))](request& asked) {
                   return serve_file(folder, asked);
               }));
}

} // namespace carillon
