#include "channels/redis/pubsub_names.hpp"

#include "wire/layer/message.hpp"
#include "wire/utf8.hpp"

namespace carillon::channels::redis {

bool is_pubsub_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= pubsub_name_bytes_max && wire::is_utf8(as_bytes(name));
}

pubsub_names::pubsub_names(std::string_view prefix, std::size_t hosts)
    : before_group_(std::string(prefix) + "__group__"), hosts_(hosts) {}

std::string pubsub_names::topic_of(std::string_view group) const {
    return before_group_ + std::string(group);
}

std::string_view pubsub_names::group_of(std::string_view topic) const noexcept {
    return topic.starts_with(before_group_) ? topic.substr(before_group_.size())
                                            : std::string_view();
}

std::size_t pubsub_names::host_of(std::string_view topic) const noexcept {
    return wire::layer::host_index(topic, hosts_);
}

} // namespace carillon::channels::redis
