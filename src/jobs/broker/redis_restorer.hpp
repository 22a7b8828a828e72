// redis_restorer: puts what `unacked` remembers back to the front of its list, as Celery does, with both of its flags
// `redelivered`.
#pragma once

#include "jobs/broker/redis_context.hpp"

namespace carillon::jobs::redis {

struct remembered {
    std::string field;
    std::string score; // only if it still has it; empty: any
    std::string entry;
};

class restorer {
public:
    restorer(context& in, counter& restored) : in_(in), restored_(restored) {}

    // In this order: the last one is the first to be served. `done` hears when all were answered, or why not; those
    // that were not answered may be restored or not, and doing it again does no harm.
    void put_back(const std::vector<remembered>& all, broker::told done);

private:
    void put_back(const remembered& one, net::redis::client::told done);
    context& in_;
    counter& restored_;
};

// The answers of scripts that give entries: field, score, entry, …
std::vector<remembered> read_remembered(wire::redis::reply& answer);

} // namespace carillon::jobs::redis
