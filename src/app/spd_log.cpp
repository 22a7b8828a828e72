#include "app/spd_log.hpp"

#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <carillon/base/clock.hpp>
#include <carillon/wire/json.hpp>

namespace carillon::app {

namespace {

spdlog::level::level_enum level_of(log_level level) noexcept {
    switch (level) {
    case log_level::debug: return spdlog::level::debug;
    case log_level::info: return spdlog::level::info;
    case log_level::warning: return spdlog::level::warn;
    case log_level::error: break;
    }
    return spdlog::level::err;
}

std::string_view word_for(log_level level) noexcept {
    switch (level) {
    case log_level::debug: return "debug";
    case log_level::info: return "info";
    case log_level::warning: return "warning";
    case log_level::error: break;
    }
    return "error";
}

class spd_log final : public logger {
public:
    spd_log(std::shared_ptr<spdlog::logger> out, bool pretty)
        : out_(std::move(out)), pretty_(pretty) {}

    bool enabled(log_level level) const noexcept override {
        return out_->should_log(level_of(level));
    }

    void write(log_level level, std::string_view message,
               std::initializer_list<log_field> fields) override {
        out_->log(level_of(level),
                  pretty_ ? pretty_line(message, fields) : json_line(level, message, fields));
    }

private:
    static std::string pretty_line(std::string_view message,
                                   std::initializer_list<log_field> fields) {
        std::string line(message);
        for (const auto& [name, content] : fields) {
            line += "  ";
            line += name;
            line += '=';
            const auto* text = content.if_string();
            const bool plain =
                text && !text->empty() && text->find_first_of(" \"=\n\r\t") == std::string::npos;
            line += plain ? *text : to_json(content);
        }
        return line;
    }

    static std::string json_line(log_level level, std::string_view message,
                                 std::initializer_list<log_field> fields) {
        object line{
            {"time", to_iso8601(utc_now())}, {"level", word_for(level)}, {"message", message}};
        for (const auto& [name, content] : fields)
            line.set(name, content);
        return to_json(line);
    }

    std::shared_ptr<spdlog::logger> out_;
    bool pretty_;
};

} // namespace

std::unique_ptr<logger> make_log(std::string_view format, log_level least) {
    const bool pretty = format == "pretty";
    spdlog::sink_ptr sink;
    if (pretty)
        sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
    else
        sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto out = std::make_shared<spdlog::logger>("carillon", std::move(sink));
    out->set_pattern(pretty ? "%H:%M:%S.%e %^%-7l%$ %v" : "%v");
    out->set_level(level_of(least));
    return std::make_unique<spd_log>(std::move(out), pretty);
}

} // namespace carillon::app
