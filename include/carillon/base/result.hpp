// result<T>: a value or a failure. The interface is that of std::expected, which g++ 12 lacks in C++20.
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include <carillon/base/assert.hpp>
#include <carillon/base/error.hpp>

namespace carillon {

template <class T>
class [[nodiscard]] result {
public:
    result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    result(failure why) : held_(std::in_place_index<1>, std::move(why)) {}

    bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    // The value; asking a failure for it is a programmer error.
    T& operator*() & { return checked(); }
    const T& operator*() const& { return const_cast<result*>(this)->checked(); }
    T&& operator*() && { return std::move(checked()); }
    T* operator->() { return &checked(); }
    const T* operator->() const { return &const_cast<result*>(this)->checked(); }

    // The failure; asking a value for it is a programmer error.
    const failure& error() const {
        CARILLON_ASSERT(!has_value(), "error() of a result that has a value");
        return std::get<1>(held_);
    }

    // The value, or the failure thrown as carillon::error.
    T value() && {
        if (!has_value())
            throw carillon::error(std::get<1>(held_));
        return std::move(std::get<0>(held_));
    }

private:
    T& checked() {
        CARILLON_ASSERT(has_value(), "value of a result that failed");
        return std::get<0>(held_);
    }
    std::variant<T, failure> held_;
};

template <>
class [[nodiscard]] result<void> {
public:
    result() = default;
    result(failure why) : failure_(std::move(why)) {}

    bool has_value() const noexcept { return !failure_; }
    explicit operator bool() const noexcept { return has_value(); }
    const failure& error() const {
        CARILLON_ASSERT(failure_.has_value(), "error() of a result that has a value");
        return *failure_;
    }
    void value() && {
        if (failure_)
            throw carillon::error(*failure_);
    }

private:
    std::optional<failure> failure_;
};

} // namespace carillon
