// table: the small field tables of our own methods (queue arguments, capabilities) for rabbitmq-c's codec.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "jobs/broker/amqp_codec.hpp"

namespace carillon::jobs::amqp {

// Owns what get() points to; neither copied nor moved once that was called.
class table {
public:
    using content = std::variant<bool, std::int64_t, std::string, const table*>;
    struct member {
        member(std::string n, const char* text) : name(std::move(n)), what(std::string(text)) {}
        member(std::string n, std::string text) : name(std::move(n)), what(std::move(text)) {}
        member(std::string n, bool flag) : name(std::move(n)), what(flag) {}
        member(std::string n, std::int64_t number) : name(std::move(n)), what(number) {}
        // The nested table outlives this one.
        member(std::string n, const table& nested) : name(std::move(n)), what(&nested) {}
        std::string name;
        content what;
    };

    table() = default;
    table(std::initializer_list<member> members) : members_(members) {}
    void add(member one) { members_.push_back(std::move(one)); }

    // Integers as I, or as l beyond 32 bits. Valid as long as this table, until it changes.
    amqp_table_t get() const {
        entries_.clear();
        for (const auto& one : members_) {
            amqp_table_entry_t entry{};
            entry.key = bytes_of(one.name);
            entry.value = as_field(one.what);
            entries_.push_back(entry);
        }
        return {static_cast<int>(entries_.size()), entries_.data()};
    }

private:
    static amqp_field_value_t as_field(const content& what) {
        amqp_field_value_t out{};
        if (const auto* flag = std::get_if<bool>(&what)) {
            out.kind = AMQP_FIELD_KIND_BOOLEAN;
            out.value.boolean = *flag;
        } else if (const auto* number = std::get_if<std::int64_t>(&what)) {
            const bool small = *number == static_cast<std::int32_t>(*number);
            out.kind = small ? AMQP_FIELD_KIND_I32 : AMQP_FIELD_KIND_I64;
            if (small)
                out.value.i32 = static_cast<std::int32_t>(*number);
            else
                out.value.i64 = *number;
        } else if (const auto* text = std::get_if<std::string>(&what)) {
            out.kind = AMQP_FIELD_KIND_UTF8;
            out.value.bytes = bytes_of(*text);
        } else {
            out.kind = AMQP_FIELD_KIND_TABLE;
            out.value.table = std::get<const table*>(what)->get();
        }
        return out;
    }

    std::vector<member> members_;
    mutable std::vector<amqp_table_entry_t> entries_;
};

} // namespace carillon::jobs::amqp
