// csv-report: the CSV report of one file, for tests and for curiosity. Prints result.json, or with
// --html the page.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <carillon/wire/json.hpp>

#include "reports/csv_profiler.hpp"

namespace {

constexpr std::size_t piece_bytes = 256 * 1024;

int usage() {
    std::cerr << "usage: csv-report [--html] [--piece BYTES] FILE\n";
    return 2;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    std::string path;
    bool html = false;
    std::size_t piece_size = piece_bytes;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--html")
            html = true;
        else if (arguments[i] == "--piece" && i + 1 < arguments.size())
            piece_size = std::strtoul(arguments[++i].c_str(), nullptr, 10);
        else
            path = arguments[i];
    }
    if (path.empty() || piece_size == 0)
        return usage();
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        std::cerr << "csv-report: cannot read " << path << '\n';
        return 2;
    }
    showcase::reports::csv_profiler profiler(path.substr(path.rfind('/') + 1));
    std::string piece(piece_size, '\0');
    while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0) {
        const std::string_view got(piece.data(), static_cast<std::size_t>(file.gcount()));
        if (!profiler.feed(carillon::as_bytes(got)))
            break;
    }
    const auto report = profiler.finish();
    if (!report) {
        std::cerr << report.error().message << '\n';
        return 1;
    }
    std::cout << (html ? to_html(*report) : carillon::to_json(to_value(*report))) << '\n';
    return 0;
}
