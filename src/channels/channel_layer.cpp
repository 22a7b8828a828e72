#include <carillon/channels/channel_layer.hpp>

namespace carillon {

namespace {

// What a layer that knows the outcome at the return can tell.
void tell_at_once(const result<void>& sent, const delivery_told& told) {
    if (sent)
        told(delivery{1, 0});
    else
        told(sent.error());
}

} // namespace

void channel_layer::group_send_confirmed(std::string_view group, event e, delivery_told told) {
    tell_at_once(group_send(group, std::move(e)), told);
}

void channel_layer::send_confirmed(std::string_view channel, event e, delivery_told told) {
    tell_at_once(send(channel, std::move(e)), told);
}

result<std::unique_ptr<channel_source>> channel_layer::receive_from(std::string_view) {
    return failure{errc::unavailable, "this channel layer has no channels to read from"};
}

bool channel_layer::reaches_members(std::string_view, std::function<void()>) { return true; }

} // namespace carillon
