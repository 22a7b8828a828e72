// The name of a worker, with Celery's marks filled in.
#pragma once

#include <string>
#include <string_view>

namespace carillon::jobs {

// `%h` is the host name, `%n` its part before the first '.', `%d` the part after it, `%%` a percent sign. A name
// without '@' is followed by "@" and the host name, as `celery worker -n` has it. Other marks stay as they are.
std::string worker_name(std::string_view pattern, std::string_view host);

std::string host_name();

// What a process calls itself in the messages that it sends: gen<pid>@<host>.
std::string origin_name();

} // namespace carillon::jobs
