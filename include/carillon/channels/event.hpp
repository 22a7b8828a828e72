// event: what travels through a channel layer. A type and an object of values, immutable and shared.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <carillon/base/frame.hpp>
#include <carillon/base/value.hpp>

namespace carillon {

// Which part of an event is shown to a client. Its address is its identity in the event's cache of encodings, so a
// projection is declared once, `static constexpr`, and never made on the fly.
class projection {
public:
    static constexpr std::size_t names_max = 12;
    enum class kind : std::uint8_t { whole, members, member, text };

    constexpr projection(kind how, std::initializer_list<std::string_view> names) : how_(how) {
        for (auto name : names)
            // more than names_max does not compile in a constant expression
            names_[count_++] = name;
    }
    constexpr kind how() const noexcept { return how_; }
    constexpr const std::string_view* begin() const noexcept { return names_.data(); }
    constexpr const std::string_view* end() const noexcept { return names_.data() + count_; }

private:
    kind how_;
    std::uint8_t count_ = 0;
    std::array<std::string_view, names_max> names_{};
};

// `{"type":…, …}`: the event as it is.
inline constexpr projection whole_event{projection::kind::whole, {}};
// An object of these members, in this order; null for those that the event lacks.
template <class... Names>
constexpr projection only(Names... names) {
    return {projection::kind::members, {std::string_view(names)...}};
}
// The JSON of one member; null where the event lacks it.
constexpr projection member(std::string_view name) { return {projection::kind::member, {name}}; }
// The text of one member as it stands, not as JSON; empty where it is no text.
constexpr projection text_of(std::string_view name) { return {projection::kind::text, {name}}; }

// Copying shares. Any number of threads may hold copies of one event; encodings are made on first need and kept.
class event {
public:
    // `type` names the handler (dots count as underscores); `members` does not hold a "type" of its own.
    event(std::string type, object members);
    event(std::string type, std::initializer_list<std::pair<std::string_view, value>> members)
        : event(std::move(type), object(members)) {}

    std::string_view type() const noexcept;
    // The name under which it is handled: the type with dots as underscores.
    const std::string& handler() const noexcept;
    const object& members() const noexcept;
    // The member of that name; a null value stands for what is missing.
    const value& operator[](std::string_view name) const noexcept;

    // The text that `shown` selects.
    std::string text(const projection& shown = whole_event) const;

    // An encoding that was kept under this key, or an empty frame. `variant` distinguishes forms of the same text
    // (compressed or not, and for which shard).
    shared_frame kept(const projection& shown, std::uint32_t variant) const noexcept;
    // Keeps an encoding as long as the event lives. Two threads that make the same one at once both succeed.
    void keep(const projection& shown, std::uint32_t variant, shared_frame encoding) const;

    // True when both are copies of one event.
    bool same_as(const event& other) const noexcept { return body_ == other.body_; }

private:
    struct body;
    std::shared_ptr<const body> body_;
};

// The name under which events of this type are handled.
std::string handler_name(std::string_view event_type);

// An event type that a channel layer must refuse: those of the protocol itself ("websocket.", "http.", "lifespan.") and
// those whose handler name would begin with an underscore.
bool is_reserved_event_type(std::string_view type) noexcept;

} // namespace carillon
