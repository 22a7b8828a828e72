// What `check` finds out about the channel layer: whether each Redis answers, and can do what the layer needs.
#pragma once

#include <string>
#include <vector>

#include <carillon/app/settings.hpp>

namespace carillon::app {

struct finding {
    enum class grade { ok, warning, wrong };
    grade how = grade::ok;
    std::string what;    // was looked at
    std::string message; // what is wrong, and how to mend it; empty when it is not
};

// Asks every host; changes nothing there. Takes at most a few seconds for a host that does not answer.
std::vector<finding> examine_layer(const settings& config);

} // namespace carillon::app
