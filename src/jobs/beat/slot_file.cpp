#include "base/uuid.hpp"
#include "db/sqlite.hpp"
#include "jobs/beat/slot_store.hpp"
#include "jobs/store_schema.hpp"

namespace carillon::jobs {

namespace {

constexpr std::string_view tables[] = {
    "CREATE TABLE IF NOT EXISTS beat_entries (entry TEXT PRIMARY KEY, newest INTEGER NOT NULL) "
    "WITHOUT ROWID",
    // until: the end of the claim; 0 when it was released
    "CREATE TABLE IF NOT EXISTS beat_claims (entry TEXT, slot INTEGER, owner TEXT NOT NULL, "
    "until INTEGER NOT NULL, PRIMARY KEY (entry, slot)) WITHOUT ROWID",
};

class slot_file final : public slot_store {
public:
    explicit slot_file(db::sqlite::connection file) : file_(std::move(file)) {}

    result<utc_time> position(const std::string& entry, utc_time at) override {
        if (auto added = change("INSERT OR IGNORE INTO beat_entries (entry, newest) VALUES (?, ?)",
                                {entry, to_micros(at)});
            !added)
            return added.error();
        auto found = file_.query("SELECT newest FROM beat_entries WHERE entry = ?", {entry});
        if (!found)
            return found.error();
        return from_micros(found->front().at(0).to_int());
    }

    result<slot_claim> claim(const std::string& entry, utc_time slot,
                             std::chrono::milliseconds lease, utc_time forgotten) override {
        if (auto begun = file_.run("BEGIN IMMEDIATE"); !begun)
            return begun.error();
        auto outcome = claim_within(entry, to_micros(slot), lease, to_micros(forgotten));
        if (outcome)
            if (auto kept = file_.run("COMMIT"); !kept)
                outcome = kept.error();
        if (!outcome)
            (void)file_.run("ROLLBACK"); // its failure says nothing that the first one does not
        return outcome;
    }

    result<void> confirm(const std::string& entry, utc_time slot) override {
        auto done = change("DELETE FROM beat_claims WHERE entry = ? AND slot = ?",
                           {entry, to_micros(slot)});
        return done ? result<void>() : done.error();
    }

    result<void> release(const std::string& entry, utc_time slot) override {
        auto done =
            change("UPDATE beat_claims SET until = 0 WHERE entry = ? AND slot = ? AND owner = ?",
                   {entry, to_micros(slot), self_});
        return done ? result<void>() : done.error();
    }

    result<std::vector<abandoned_slot>> abandoned() override {
        auto rows =
            file_.query("SELECT entry, slot FROM beat_claims WHERE until <= ? ORDER BY slot",
                        {to_micros(utc_now())});
        if (!rows)
            return rows.error();
        std::vector<abandoned_slot> found;
        for (const auto& row : *rows)
            found.push_back({std::string(row.at(0).to_text()), from_micros(row.at(1).to_int())});
        return found;
    }

private:
    result<std::int64_t> change(std::string_view sql, const array& parameters) {
        return file_.execute(sql, parameters);
    }

    result<slot_claim> claim_within(const std::string& entry, std::int64_t slot,
                                    std::chrono::milliseconds lease, std::int64_t forgotten) {
        const auto at = utc_now();
        const auto until = to_micros(at + lease);
        auto again = change("UPDATE beat_claims SET owner = ?1, until = ?2 WHERE entry = ?3 AND "
                            "slot = ?4 AND (owner = ?1 OR until <= ?5)",
                            {self_, until, entry, slot, to_micros(at)});
        if (!again || *again > 0)
            return again ? result<slot_claim>(slot_claim::granted) : again.error();
        auto others =
            file_.query("SELECT 1 FROM beat_claims WHERE entry = ? AND slot = ?", {entry, slot});
        if (!others || !others->empty())
            return others ? result<slot_claim>(slot_claim::held) : others.error();
        auto moved = change("UPDATE beat_entries SET newest = ?1 WHERE entry = ?2 AND newest < ?1",
                            {slot, entry});
        if (!moved || *moved == 0)
            return moved ? result<slot_claim>(slot_claim::served) : moved.error();
        auto added = change("INSERT INTO beat_claims (entry, slot, owner, until) "
                            "VALUES (?, ?, ?, ?)",
                            {entry, slot, self_, until});
        if (!added)
            return added.error();
        auto dropped = change("DELETE FROM beat_claims WHERE entry = ? AND slot < ? AND until = 0",
                              {entry, forgotten});
        return dropped ? result<slot_claim>(slot_claim::granted) : dropped.error();
    }

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
    for (const auto table : tables)
        if (auto made = opened->run(table); !made)
            return made.error();
    return std::unique_ptr<slot_store>(std::make_unique<slot_file>(*std::move(opened)));
}

} // namespace carillon::jobs
