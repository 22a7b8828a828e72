// A folder for the databases of one test, removed with it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <carillon/base/error.hpp>

namespace carillon::db::testing {

struct folder {
    folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "carillon-db-XXXXXX").string();
        if (!::mkdtemp(pattern.data()))
            throw error(errc::unavailable, "no temporary folder");
        path = pattern;
    }
    ~folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;

    std::string url() const { return "sqlite:" + (path / "test.db").string(); }
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(path / name, std::ios::binary) << content;
    }
    std::filesystem::path path;
};

} // namespace carillon::db::testing
