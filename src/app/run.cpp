#include <carillon/app/app.hpp>

#include <cstdlib>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "app/commands.hpp"
#include "app/options.hpp"

namespace carillon {

namespace {

// What the command line said, before settings are loaded.
struct command_line {
    std::string config_file;
    std::map<std::string, std::vector<std::string>> given; // by option name; empty where not given
    bool demo = false, bench = false, beat = false;
    app::worker_arguments worker;
    app::call_arguments call;
    std::string queues, channels, first, second;
};

CLI::App* add_command(CLI::App& program, command_line& said, const std::string& name,
                      const std::string& help) {
    auto* command = program.add_subcommand(name, help);
    command
        ->add_option("--config", said.config_file,
                     "TOML file; default carillon.toml of this folder, if there is one")
        ->type_name("FILE");
    for (const auto& one : app::options()) {
        auto* flag =
            command->add_option("--" + one.name, said.given[one.name],
                                fmt::format("{} [{}]", one.help, app::environment_name(one)));
        flag->type_name(one.values)->group("Settings");
        flag->expected(1)->take_all();
        flag->allow_extra_args(false); // else a value in brackets would be taken apart
        if (!one.list)
            flag->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    return command;
}

void add_beat_flag(CLI::App& command, command_line& said) {
    command.add_flag("-B,--beat", said.beat, "sends the jobs of schedules, as the command beat");
}

void add_log_level(CLI::App& command, command_line& said) {
    command.add_option("--loglevel", said.given["log-level"], "the same as --log-level")
        ->expected(1);
}

void add_serve(CLI::App& program, command_line& said) {
    auto* command =
        add_command(program, said, "serve", "HTTP and WebSocket server, with workers inside");
    command->add_flag("--demo", said.demo, "a demonstration: loopback only, nobody has to sign in");
    command->add_flag("--bench", said.bench,
                      "adds the open routes and the jobs that measurements need");
    add_beat_flag(*command, said);
}

void add_worker(CLI::App& program, command_line& said) {
    auto* command =
        add_command(program, said, "worker", "a worker process for the configured broker");
    command->add_option("-Q,--queues", said.queues,
                        "queues to take jobs from, comma-separated [celery]");
    command->add_option("--channels", said.channels,
                        "channels whose background consumers run here, comma-separated; then no "
                        "jobs unless -Q is given too");
    command->add_option("-c,--concurrency", said.worker.threads, "worker threads [2]")
        ->check(CLI::Range(1, 1024));
    command->add_option("-n,--hostname", said.worker.name,
                        "name of this worker; %h %n %d as with celery [celery@%h]");
    command->add_flag("-E,--task-events", said.worker.task_events,
                      "tells monitors of each job from the start; with a broker");
    command->add_flag("--bench", said.bench, "adds the jobs that measurements need");
    add_beat_flag(*command, said);
    add_log_level(*command, said);
}

void add_beat(CLI::App& program, command_line& said) {
    auto* command = add_command(program, said, "beat",
                                "sends the jobs of schedules; several may run, each moment is "
                                "served once");
    command->add_flag("--bench", said.bench, "adds a job every second, for measurements");
    add_log_level(*command, said);
}

void add_call(CLI::App& program, command_line& said) {
    auto* command = add_command(program, said, "call", "enqueues a task and prints its id");
    auto& call = said.call;
    command->add_option("TASK", call.task, "registered name")->required();
    command->add_option("JSON-ARGS", call.json, "an array (positional) or an object (named)");
    command->add_flag("--wait", call.wait, "waits for the end and prints the result");
    command->add_option("--queue", call.queue, "where it waits [that of the task]");
    command->add_option("--countdown", call.countdown, "starts after so many seconds")
        ->type_name("SECONDS");
    command->add_option("--eta", call.eta, "starts at this moment")->type_name("ISO-8601");
    command
        ->add_option("--expires", call.expires, "does not start after so many seconds, or a moment")
        ->type_name("SECONDS|ISO-8601");
    command
        ->add_option("--priority", call.priority,
                     "the larger goes first; with a broker on Redis the smaller [0]")
        ->check(CLI::Range(0, 9));
    command->add_flag("--ignore-result", call.ignore_result,
                      "with a broker: the result is not stored");
    command->add_flag("--bench", said.bench, "knows the jobs that measurements need");
}

void add_job_commands(CLI::App& program, command_line& said) {
    add_beat(program, said);
    add_call(program, said);
    auto* inspect = add_command(program, said, "inspect", "asks the running workers");
    inspect->add_option("WHAT", said.first, "ping, active, registered, stats or queues")
        ->required()
        ->check(CLI::IsMember({"ping", "active", "registered", "stats", "queues"}));
}

// Names between commas; none for an empty text.
std::vector<std::string> names_in(const std::string& text) {
    std::vector<std::string> names;
    for (auto& name : CLI::detail::split(text, ','))
        if (!CLI::detail::trim(name).empty())
            names.push_back(std::move(name));
    return names;
}

int dispatch(application& site, const CLI::App& program, command_line& said) {
    const std::string command = program.get_subcommands().front()->get_name();
    app::flag_values flags;
    for (auto& [name, texts] : said.given)
        if (!texts.empty())
            flags.emplace(name, std::move(texts));
    auto loaded = app::load_settings(said.config_file, flags,
                                     [](const char* name) { return std::getenv(name); });
    if (!loaded)
        return app::fail(loaded.error());
    auto& config = loaded->values;
    config.demo = said.demo;
    config.bench = said.bench;
    config.beat = said.beat;
    if (command == "serve") {
        if (flags.contains("health-bind"))
            return app::fail({errc::invalid,
                              "--health-bind is for worker and beat; serve answers /healthz, "
                              "/readyz and /metrics where --bind says"});
        return app::serve(site, config);
    }
    if (command == "worker") {
        said.worker.queues = names_in(said.queues);
        said.worker.channels = names_in(said.channels);
        return app::work(site, config, said.worker);
    }
    if (command == "migrate")
        return app::migrate(site, config);
    if (command == "group-send")
        return app::group_send(config, said.first, said.second);
    if (command == "beat")
        return app::beat(site, config);
    if (command == "call")
        return app::call(site, config, said.call);
    if (command == "inspect")
        return app::inspect(site, config, said.first);
    return app::check(site, *loaded);
}

} // namespace

int run(application& site, int argc, const char* const* argv) {
    CLI::App program(site.description(), site.name());
    program.set_version_flag("--version", site.name() + " " + site.version());
    program.require_subcommand(1);
    command_line said;
    add_serve(program, said);
    add_worker(program, said);
    add_command(program, said, "migrate", "creates or upgrades the database");
    auto* send = add_command(program, said, "group-send",
                             "sends one event to a group through the channel layer");
    send->add_option("GROUP", said.first)->required();
    send->add_option("JSON", said.second, "the event, an object with a type")->required();
    add_job_commands(program, said);
    add_command(program, said, "check", "validates the configuration and says what is wrong");
    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& wrong) {
        return program.exit(wrong) == 0 ? 0 : 2;
    }
    try {
        return dispatch(site, program, said);
    } catch (const std::exception& unexpected) {
        return app::fail({errc::internal, unexpected.what()});
    }
}

} // namespace carillon
