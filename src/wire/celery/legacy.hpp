// Bodies of protocol 1 and of the hybrid form, turned into headers and arguments of protocol 2.
#pragma once

#include "wire/celery/message.hpp"

namespace carillon::wire::celery {

// Protocol 1 put everything into the body. Gives the headers that protocol 2 would have, those of the message winning
// over the body, and sets args, kwargs and embed. errc::bad_request where the body is no task, or its times are meant
// in an unknown zone (`utc` false).
result<object> from_legacy_body(const object& headers, object body, message& m);

} // namespace carillon::wire::celery
