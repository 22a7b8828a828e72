#include "net/outgoing.hpp"

#include <utility>

namespace carillon::net {

namespace {
thread_local outgoing* gathering = nullptr;
}

outgoing::here::here(outgoing& gathers) noexcept : before_(std::exchange(gathering, &gathers)) {}

outgoing::here::~here() { gathering = before_; }

outgoing* outgoing::current() noexcept { return gathering; }

void outgoing::add(loop& target, std::unique_ptr<posted> work) {
    if (sends_for_ && !std::exchange(deferred_, true))
        sends_for_->defer([this] { send(); });
    for (auto& one : batches_)
        if (one.target == &target)
            return one.work.push_back(std::move(work));
    batches_.push_back({&target, {}});
    batches_.back().work.push_back(std::move(work));
}

void outgoing::send() {
    deferred_ = false;
    for (auto& one : batches_)
        if (!one.work.empty())
            one.target->post_all(one.work);
}

} // namespace carillon::net
