// The table of settings: one line each, from which come flag, environment variable, file key, validation, help and
// `check`.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <carillon/app/settings.hpp>
#include <carillon/base/result.hpp>

namespace carillon::app {

struct option {
    std::string name;   // "data-dir": --data-dir, CARILLON_DATA_DIR, data-dir in the file
    std::string values; // what may stand there, for --help
    std::string help;
    // `get` masks it, and no failure of `set` repeats it.
    bool secret = false;
    bool list = false; // may be repeated; comma-separated in the environment, an array in the file
    // Of a list whose items may hold commas: nothing is separated at them. The environment holds one item, or a JSON
    // array of items.
    bool whole_items = false;
    // The failure says what a good value looks like.
    std::function<result<void>(settings&, const std::vector<std::string>&)> set;
    std::function<std::string(const settings&)> get; // as it is shown to people
};

// In the order in which they are shown.
const std::vector<option>& options();
const option* find_option(std::string_view name);
std::string environment_name(const option& one);

// Where each value comes from, by name: "default", "carillon.toml:3", "CARILLON_BIND", "--bind".
using sources = std::map<std::string, std::string, std::less<>>;

struct loaded_settings {
    settings values;
    sources from;
};

using flag_values = std::map<std::string, std::vector<std::string>, std::less<>>;
// Reads one variable of the environment; null when it is not set.
using environment = std::function<const char*(const char*)>;

// All sources, later ones over earlier ones. The failure names the place of what is wrong: file and line, variable or
// flag. `config_file` may be empty; then carillon.toml of the working folder is read if there is one.
result<loaded_settings> load_settings(const std::string& config_file, const flag_values& flags,
                                      const environment& get_variable);

} // namespace carillon::app
