#include "base/uuid.hpp"
#include "db/sqlite.hpp"
#include "jobs/beat/slot_store.hpp"
#include "jobs/store_schema.hpp"

namespace carillon::jobs {

namespace {

constexpr const char* table =
    "CREATE TABLE IF NOT EXISTS beat (entry TEXT PRIMARY KEY, served INTEGER NOT NULL, "
    "held INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT '', "
    "until INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID";

class slot_file final : public slot_store {
public:
    explicit slot_file(db::sqlite::connection file) : file_(std::move(file)) {}

    result<utc_time> position(const std::string& entry, utc_time at) override {
        auto added = file_.execute("INSERT OR IGNORE INTO beat (entry, served) VALUES (?, ?)",
                                   {entry, to_micros(at)});
        if (!added)
            return added.error();
        auto found = file_.query("SELECT served FROM beat WHERE entry = ?", {entry});
        if (!found)
            return found.error();
        return from_micros(found->front().at(0).to_int());
    }

    result<slot_claim> claim(const std::string& entry, utc_time slot,
                             std::chrono::milliseconds lease) override {
        const auto at = utc_now();
        auto taken = file_.execute(
            "UPDATE beat SET held = ?1, owner = ?2, until = ?3 WHERE entry = ?4 AND served < ?1 "
            "AND (owner = ?2 OR until <= ?5 OR held < ?1)",
            {to_micros(slot), self_, to_micros(at + lease), entry, to_micros(at)});
        if (!taken)
            return taken.error();
        if (*taken > 0)
            return slot_claim::granted;
        auto served = position(entry, slot);
        if (!served)
            return served.error();
        return *served >= slot ? slot_claim::served : slot_claim::held;
    }

    result<void> confirm(const std::string& entry, utc_time slot) override {
        auto done = file_.execute("UPDATE beat SET served = max(served, ?1), "
                                  "until = iif(held <= ?1, 0, until) WHERE entry = ?2",
                                  {to_micros(slot), entry});
        return done ? result<void>() : done.error();
    }

private:
    db::sqlite::connection file_;
    const std::string self_ = make_uuid();
};

} // namespace

result<std::unique_ptr<slot_store>> open_slot_file(const std::filesystem::path& file) {
    db::sqlite::connection_options options;
    options.sync = db::sqlite::durability::full;
    auto opened = db::sqlite::connection::open(file, options);
    if (!opened)
        return opened.error();
    if (auto made = opened->run(table); !made)
        return made.error();
    return std::unique_ptr<slot_store>(std::make_unique<slot_file>(*std::move(opened)));
}

} // namespace carillon::jobs
