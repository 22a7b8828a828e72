#include <carillon/web/routes.hpp>

#include <carillon/net/waits.hpp>

namespace carillon::detail {

namespace {

task<response> answered(response made) { co_return std::move(made); }

task<response> on_a_thread(std::shared_ptr<std::function<response(request&)>> call,
                           request& asked) {
    auto work = blocking([&call, &asked] { return (*call)(asked); });
    co_return co_await work;
}

} // namespace

http_handler plain_handler(std::function<response(request&)> call) {
    return [call = std::move(call)](request& asked) { return answered(call(asked)); };
}

http_handler thread_handler(std::function<response(request&)> call) {
    auto shared = std::make_shared<std::function<response(request&)>>(std::move(call));
    return [shared](request& asked) { return on_a_thread(shared, asked); };
}

} // namespace carillon::detail
