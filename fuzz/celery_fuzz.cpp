// Any three texts as headers, properties and body of a Celery message: what is read can be written and reads to the
// same.
#include <string>

#include "input.hpp"
#include "wire/celery/message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carillon;
    // The parts are separated by zero bytes, which JSON does not hold.
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto first = input.find('\0'),
               second = input.find('\0', first == input.npos ? first : first + 1);
    if (second == input.npos)
        return 0;
    const auto read =
        wire::celery::decode(input.substr(0, first), input.substr(first + 1, second - first - 1),
                             input.substr(second + 1));
    if (!read)
        return 0;
    const auto written = wire::celery::encode(*read);
    fuzz::must(written.has_value(), "what is read can be written");
    const auto again = wire::celery::decode(written->headers, written->properties, written->body);
    fuzz::must(again.has_value(), "what is written can be read");
    fuzz::must(again->id == read->id && again->task == read->task &&
                   again->retries == read->retries && again->args == read->args &&
                   again->kwargs == read->kwargs && again->eta == read->eta,
               "it reads to the same");
    return 0;
}
