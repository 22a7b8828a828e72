// value: what travels in events, job arguments and JSON. JSON's kinds, plus bytes as msgpack has them.
//
// Objects keep the order in which their members were added, as Python's dictionaries do; look-up is linear,
// which suits the handful of members a message has. A value owns all it holds. Not thread-safe to change;
// any number of threads may read one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <carillon/base/bytes.hpp>

namespace carillon {

class value;
using array = std::vector<value>;

class object {
public:
    using member = std::pair<std::string, value>;
    object() = default;
    object(std::initializer_list<std::pair<std::string_view, value>> members);

    // The member of that name, or null.
    const value* find(std::string_view name) const noexcept;
    value* find(std::string_view name) noexcept;
    // Adds the member, or replaces the value of the one that is there.
    void set(std::string_view name, value v);
    // Adds without looking for an equal name; the caller knows that there is none.
    void append(std::string name, value v);
    bool erase(std::string_view name);

    std::size_t size() const noexcept;
    bool empty() const noexcept;
    std::vector<member>::const_iterator begin() const noexcept;
    std::vector<member>::const_iterator end() const noexcept;
    void reserve(std::size_t n);

private:
    std::vector<member> members_;
};

class value {
public:
    value() = default; // null
    value(std::nullptr_t) {}
    value(bool b) : held_(b) {}
    template <std::signed_integral T>
    value(T n) : held_(std::int64_t{n}) {}
    template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>) value(T n) {
        if constexpr (sizeof(T) < 8)
            held_ = static_cast<std::int64_t>(n);
        else if (n <= INT64_MAX)
            held_ = static_cast<std::int64_t>(n);
        else
            held_ = std::uint64_t{n};
    }
    value(double d) : held_(d) {}
    value(const char* text) : held_(std::string(text)) {}
    value(std::string_view text) : held_(std::string(text)) {}
    value(std::string text) : held_(std::move(text)) {}
    value(bytes data) : held_(std::move(data)) {}
    value(array items) : held_(std::move(items)) {}
    value(object members) : held_(std::move(members)) {}

    bool is_null() const noexcept { return holds<std::monostate>(); }
    bool is_bool() const noexcept { return holds<bool>(); }
    bool is_integer() const noexcept { return holds<std::int64_t>() || holds<std::uint64_t>(); }
    bool is_number() const noexcept { return is_integer() || holds<double>(); }
    bool is_string() const noexcept { return holds<std::string>(); }
    bool is_bytes() const noexcept { return holds<bytes>(); }
    bool is_array() const noexcept { return holds<array>(); }
    bool is_object() const noexcept { return holds<object>(); }

    // Typed views: null where the kind differs.
    const bool* if_bool() const noexcept { return std::get_if<bool>(&held_); }
    const std::int64_t* if_int64() const noexcept { return std::get_if<std::int64_t>(&held_); }
    // Only for integers above INT64_MAX; smaller ones are always int64.
    const std::uint64_t* if_uint64() const noexcept { return std::get_if<std::uint64_t>(&held_); }
    const double* if_double() const noexcept { return std::get_if<double>(&held_); }
    const std::string* if_string() const noexcept { return std::get_if<std::string>(&held_); }
    const bytes* if_bytes() const noexcept { return std::get_if<bytes>(&held_); }
    const array* if_array() const noexcept { return std::get_if<array>(&held_); }
    array* if_array() noexcept { return std::get_if<array>(&held_); }
    const object* if_object() const noexcept { return std::get_if<object>(&held_); }
    object* if_object() noexcept { return std::get_if<object>(&held_); }

    // Forgiving reads: the content, or the fallback where the kind differs. to_int accepts a double that is whole.
    std::int64_t to_int(std::int64_t fallback = 0) const noexcept;
    double to_double(double fallback = 0) const noexcept;
    bool to_bool(bool fallback = false) const noexcept;
    // The text; valid as long as this value, or as the fallback.
    std::string_view to_text(std::string_view fallback = {}) const noexcept;

    // The member of an object, or null where this is no object or has none of that name.
    const value* find(std::string_view name) const noexcept;
    // The same as a reference: a null value stands for what is missing.
    const value& operator[](std::string_view name) const noexcept;

    friend bool operator==(const value& a, const value& b) noexcept;

private:
    template <class T>
    bool holds() const noexcept {
        return std::holds_alternative<T>(held_);
    }
    std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, bytes,
                 array, object>
        held_;
};

bool operator==(const object& a, const object& b) noexcept;

// Here, because a vector's members may be used only once its element is complete.
inline std::size_t object::size() const noexcept { return members_.size(); }
inline bool object::empty() const noexcept { return members_.empty(); }
inline std::vector<object::member>::const_iterator object::begin() const noexcept {
    return members_.begin();
}
inline std::vector<object::member>::const_iterator object::end() const noexcept {
    return members_.end();
}

} // namespace carillon
