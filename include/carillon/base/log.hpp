// The log, as the library sees it: an interface that main() fills in. One line is one event with named values.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include <carillon/base/value.hpp>

namespace carillon {

enum class log_level { debug, info, warning, error };

struct log_field {
    std::string_view name;
    value content;
};

// Thread-safe. `message` is a constant sentence; what varies goes into fields. Secrets never do.
class logger {
public:
    virtual ~logger() = default;
    virtual bool enabled(log_level level) const noexcept = 0;
    virtual void write(log_level level, std::string_view message,
                       std::initializer_list<log_field> fields) = 0;

    void debug(std::string_view message, std::initializer_list<log_field> fields = {}) {
        at(log_level::debug, message, fields);
    }
    void info(std::string_view message, std::initializer_list<log_field> fields = {}) {
        at(log_level::info, message, fields);
    }
    void warning(std::string_view message, std::initializer_list<log_field> fields = {}) {
        at(log_level::warning, message, fields);
    }
    void error(std::string_view message, std::initializer_list<log_field> fields = {}) {
        at(log_level::error, message, fields);
    }

private:
    void at(log_level level, std::string_view message, std::initializer_list<log_field> fields) {
        if (enabled(level))
            write(level, message, fields);
    }
};

// A logger that says nothing, for tests and tools.
logger& silent_log() noexcept;

} // namespace carillon
