#include <carillon/base/value.hpp>

#include <cmath>

namespace carillon {

object::object(std::initializer_list<std::pair<std::string_view, value>> members) {
    members_.reserve(members.size());
    for (const auto& [name, content] : members)
        members_.emplace_back(std::string(name), content);
}

const value* object::find(std::string_view name) const noexcept {
    for (const auto& [key, content] : members_)
        if (key == name)
            return &content;
    return nullptr;
}

value* object::find(std::string_view name) noexcept {
    return const_cast<value*>(std::as_const(*this).find(name));
}

void object::set(std::string_view name, value v) {
    if (auto* there = find(name))
        *there = std::move(v);
    else
        members_.emplace_back(std::string(name), std::move(v));
}

void object::append(std::string name, value v) {
    members_.emplace_back(std::move(name), std::move(v));
}

bool object::erase(std::string_view name) {
    return std::erase_if(members_, [&](const member& m) { return m.first == name; }) != 0;
}

void object::reserve(std::size_t n) { members_.reserve(n); }

std::int64_t value::to_int(std::int64_t fallback) const noexcept {
    if (auto* n = if_int64())
        return *n;
    // 2^53: above it a double no longer holds every integer.
    constexpr double limit = 9007199254740992.0;
    if (auto* d = if_double(); d && std::abs(*d) <= limit && std::trunc(*d) == *d)
        return static_cast<std::int64_t>(*d);
    return fallback;
}

double value::to_double(double fallback) const noexcept {
    if (auto* d = if_double())
        return *d;
    if (auto* n = if_int64())
        return static_cast<double>(*n);
    if (auto* n = if_uint64())
        return static_cast<double>(*n);
    return fallback;
}

bool value::to_bool(bool fallback) const noexcept {
    auto* b = if_bool();
    return b ? *b : fallback;
}

std::string_view value::to_text(std::string_view fallback) const noexcept {
    auto* text = if_string();
    return text ? std::string_view(*text) : fallback;
}

const value* value::find(std::string_view name) const noexcept {
    auto* members = if_object();
    return members ? members->find(name) : nullptr;
}

const value& value::operator[](std::string_view name) const noexcept {
    static const value nothing;
    auto* found = find(name);
    return found ? *found : nothing;
}

bool operator==(const value& a, const value& b) noexcept { return a.held_ == b.held_; }

bool operator==(const object& a, const object& b) noexcept {
    if (a.size() != b.size())
        return false;
    for (const auto& [name, content] : a) {
        auto* other = b.find(name);
        if (!other || !(*other == content))
            return false;
    }
    return true;
}

} // namespace carillon
