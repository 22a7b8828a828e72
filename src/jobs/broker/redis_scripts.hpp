// The server-side scripts of the Redis broker: each does in one step what Celery does in several, on the same keys.
#pragma once

#include "net/redis/script.hpp"

namespace carillon::jobs::redis {

// Time is the server's in all of them: one clock for all workers.
struct scripts {
    scripts();
    void load(net::redis::client& on);

    // Pops up to ARGV[1] elements and remembers them in the same step, so that no crash loses one. KEYS: unacked,
    // unacked_index, then the lists step by step, inside a step queue by queue; one of each queue in turn.
    // ARGV: count, queues, the size above which an element is dropped, the bytes after which it stops, the holder, the
    // number of the first field, and for each queue the end of its entries. Element n of the answer has the field
    // holder + (number + n). Gives queue, element, queue, element, …; the size instead of one that was dropped.
    net::redis::script take;
    // KEYS: unacked, unacked_index. ARGV: fields.
    net::redis::script ack;
    net::redis::script touch;
    // Gives those that are still there, refreshed: field, entry, …
    net::redis::script reclaim;
    // KEYS: unacked, unacked_index, the delayed set. ARGV: field, due time, list, the end of the entry. 1 when done.
    net::redis::script delay;
    // Moves what is due to its lists. KEYS: the delayed set. ARGV: at most so many. Gives how many, and the
    // milliseconds until the next (-1: none).
    net::redis::script due;
    // KEYS: unacked, unacked_index, unacked_mutex. ARGV: visibility in seconds, at most so many. Gives field, score,
    // entry, …; nothing while Celery's mutex is held.
    net::redis::script overdue;
    // KEYS: unacked, unacked_index. ARGV: the holder, at most so many. Gives field, score, entry, …
    net::redis::script held_by;
    // Puts one back to the front of its lists. KEYS: unacked, unacked_index, and the binding set where the exchange has
    // a name. ARGV: field, the score that it must have (empty: any), separator, routing key, prefix, the list's suffix,
    // element. 1 when it was there.
    net::redis::script restore;
    // KEYS: unacked, unacked_index, the list of unreadable ones. ARGV: field.
    net::redis::script set_aside;
    // KEYS: holders. ARGV: this one, lease in seconds. Gives 1 where it was not among them, then those that are dead.
    net::redis::script heartbeat;
    // KEYS: holders, publishers, the binding set of replies, the reply list. ARGV: the dead, lease in seconds, binding
    // member. A lease below zero: it leaves by itself.
    net::redis::script bury;
    // KEYS: the reply list. ARGV: at most so many.
    net::redis::script pop;
    // To the list that is bound for the routing key. KEYS: the binding set. ARGV: separator, routing key, prefix,
    // element, seconds after which the list is forgotten.
    net::redis::script reply;
};

// KEYS: publishers, the delayed set. ARGV: this publisher, the number of the batch, then list, due time (empty: now),
// element of each. A batch whose number was seen changes nothing. Gives place (from 1) and error of those that failed.
// Sent as a whole every time: a batch must not be executed after its successor.
extern const std::string_view publish_script;

} // namespace carillon::jobs::redis
