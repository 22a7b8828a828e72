#include <carillon/channels/event.hpp>

#include <algorithm>

#include <carillon/wire/json.hpp>

namespace carillon {

// The encodings form a list that only grows at its head, so readers need no lock.
struct event::body {
    struct encoding {
        const projection* shown;
        std::uint32_t variant;
        shared_frame frame;
        const encoding* next;
    };

    std::string type;
    std::string handler;
    object members;
    mutable std::atomic<const encoding*> encodings{nullptr};

    ~body() {
        for (auto* kept = encodings.load(); kept;)
            delete std::exchange(kept, kept->next);
    }
};

event::event(std::string type, object members) {
    auto made = std::make_shared<body>();
    made->handler = handler_name(type);
    made->type = std::move(type);
    made->members = std::move(members);
    body_ = std::move(made);
}

std::string_view event::type() const noexcept { return body_->type; }
const std::string& event::handler() const noexcept { return body_->handler; }
const object& event::members() const noexcept { return body_->members; }

const value& event::operator[](std::string_view name) const noexcept {
    static const value nothing;
    auto* found = body_->members.find(name);
    return found ? *found : nothing;
}

namespace {

void append_member(std::string& out, std::string_view name, const value& content) {
    if (out.back() != '{')
        out += ',';
    append_json_string(out, name);
    out += ':';
    append_json(out, content);
}

} // namespace

std::string event::text(const projection& shown) const {
    std::string out;
    switch (shown.how()) {
    case projection::kind::whole:
        out = '{';
        append_member(out, "type", value(type()));
        for (const auto& [name, content] : members())
            append_member(out, name, content);
        out += '}';
        break;
    case projection::kind::members:
        out = '{';
        for (auto name : shown)
            append_member(out, name, (*this)[name]);
        out += '}';
        break;
    case projection::kind::member: append_json(out, (*this)[*shown.begin()]); break;
    case projection::kind::text: out = (*this)[*shown.begin()].to_text(); break;
    }
    return out;
}

shared_frame event::kept(const projection& shown, std::uint32_t variant) const noexcept {
    for (auto* kept = body_->encodings.load(std::memory_order_acquire); kept; kept = kept->next)
        if (kept->shown == &shown && kept->variant == variant)
            return kept->frame;
    return {};
}

void event::keep(const projection& shown, std::uint32_t variant, shared_frame encoding) const {
    auto* made = new body::encoding{&shown, variant, std::move(encoding), body_->encodings.load()};
    while (!body_->encodings.compare_exchange_weak(made->next, made, std::memory_order_acq_rel)) {
    }
}

std::string handler_name(std::string_view event_type) {
    std::string name(event_type);
    std::ranges::replace(name, '.', '_');
    return name;
}

bool is_reserved_event_type(std::string_view type) noexcept {
    return type.empty() || type.starts_with('_') || type.starts_with('.') ||
           type.starts_with("websocket.") || type.starts_with("http.") ||
           type.starts_with("lifespan.");
}

} // namespace carillon
