#include "jobs/broker/redis_incoming.hpp"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "wire/celery/parts.hpp"

namespace carillon::jobs::redis {

using wire::redis::reply;

namespace {

constexpr std::uint32_t take_max = 100;
constexpr std::size_t take_bytes_max = 8u << 20;
constexpr std::size_t fields_max = 500; // of one call, as arguments
constexpr std::size_t entries_max = 50; // of one answer
// Without being told of changes.
constexpr std::chrono::milliseconds pause_first{5}, pause_max{100};
// In case that a change is not told after all.
constexpr std::chrono::milliseconds look_interval{1'000};
constexpr std::chrono::milliseconds after_refusal{1'000};

std::uint64_t number_of(std::string_view field) noexcept {
    std::uint64_t out = 0;
    const auto* begin = field.data() + field.rfind('.') + 1;
    std::from_chars(begin, field.data() + field.size(), out);
    return out;
}

} // namespace

// --- what the receiver asks for

void incoming::consume(std::vector<std::string> queues, std::uint32_t prefetch) {
    queues_.clear();
    for (auto& name : queues)
        queues_.push_back({name, entry_end(name)});
    prefetch_ = prefetch;
    if (!consuming())
        trouble_.clear();
    wake();
}

std::optional<incoming::held> incoming::spend(std::uint64_t tag) {
    const auto found = held_.find(tag);
    if (found == held_.end())
        return std::nullopt;
    auto out = std::move(found->second);
    held_.erase(found);
    later();
    return out;
}

void incoming::ack(std::uint64_t tag) {
    counted_.acknowledged.add();
    if (const auto one = spend(tag))
        return acks_.push_back(one->number);
    // Its work was done, though the tag is void: nobody has to do it again, if nobody has got it yet.
    const auto old = void_tags_.find(tag);
    if (old == void_tags_.end())
        return;
    lost_.erase(old->second);
    reclaiming_.erase(old->second);
    acks_.push_back(old->second);
    void_tags_.erase(old);
    later();
}

void incoming::reject(std::uint64_t tag, bool requeue) {
    if (!requeue)
        return ack(tag);
    const auto one = spend(tag);
    if (!one)
        return;
    put_back({one->number}, [this](bool) { wake(); });
}

void incoming::delay(std::uint64_t tag, utc_time until) {
    const auto one = spend(tag);
    if (!one)
        return;
    const auto micros = until.time_since_epoch().count();
    auto keys = unacked_keys();
    keys.push_back(in_.keys.delayed);
    in_.lua.delay.run(in_.commands, std::move(keys),
                      {in_.field(one->number),
                       fmt::format("{}.{:06}", micros / 1'000'000, micros % 1'000'000), one->list,
                       one->entry_end},
                      [this, number = one->number](const result<reply>& answer) {
                          if (!answer || answer->is_error())
                              lose({number});
                      });
}

void incoming::touch(const std::vector<std::uint64_t>& tags) {
    std::vector<std::uint64_t> numbers;
    for (const auto tag : tags)
        if (const auto found = held_.find(tag); found != held_.end())
            numbers.push_back(found->second.number);
    for (std::size_t i = 0; up_ && i < numbers.size(); i += fields_max) {
        const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(i);
        const auto count = std::min(fields_max, numbers.size() - i);
        in_.lua.touch.run(in_.commands, unacked_keys(),
                          fields({first, first + static_cast<std::ptrdiff_t>(count)}),
                          [](const result<reply>&) {});
    }
}

// --- the connection

void incoming::on_up() {
    up_ = full_ = true;
    pause_ = {};
    step();
}

void incoming::on_down() {
    up_ = looking_ = false;
    trouble_.clear();
    for (const auto& [tag, one] : held_) {
        void_tags_.emplace(tag, one.number);
        lost_.insert(one.number);
    }
    held_.clear();
    if (look_again_)
        in_.loop.cancel(*std::exchange(look_again_, std::nullopt));
}

void incoming::wake() {
    full_ = true;
    pause_ = {};
    later();
}

void incoming::stop() {
    stopped_ = true;
    up_ = false;
    if (look_again_)
        in_.loop.cancel(*std::exchange(look_again_, std::nullopt));
}

void incoming::lose(const std::vector<std::uint64_t>& numbers) {
    lost_.insert(numbers.begin(), numbers.end());
    later();
}

// --- one round: acknowledge, take back, take

void incoming::later() {
    if (std::exchange(deferred_, true))
        return;
    in_.loop.defer([this] {
        deferred_ = false;
        step();
    });
}

void incoming::step() {
    if (!up_ || stopped_)
        return;
    send_acks();
    if (giving_back_)
        return;
    if (!lost_.empty() && reclaiming_.empty() && (full_ || trouble_.empty()))
        reclaim();
    if (consuming() && full_ && under_way_ == 0 && outstanding() < prefetch_)
        take();
}

void incoming::send_acks() {
    while (!acks_.empty()) {
        const auto count = std::min(fields_max, acks_.size());
        std::vector<std::uint64_t> some(acks_.end() - static_cast<std::ptrdiff_t>(count),
                                        acks_.end());
        acks_.resize(acks_.size() - count);
        auto names = fields(some);
        in_.lua.ack.run(in_.commands, unacked_keys(), std::move(names),
                        [this, some = std::move(some)](const result<reply>& answer) {
                            if (!answer) // again after the outage: it does no harm
                                acks_.insert(acks_.end(), some.begin(), some.end());
                        });
    }
}

void incoming::take() {
    const auto room = prefetch_ - static_cast<std::uint32_t>(outstanding());
    const auto asked = std::min(room, take_max);
    const auto first = next_number_;
    next_number_ += asked;
    under_way_ = asked;
    auto keys = unacked_keys();
    auto all = lists();
    std::ranges::move(all, std::back_inserter(keys));
    std::vector<std::string> arguments{
        std::to_string(asked), std::to_string(queues_.size()),
        // an element holds its body in base64, and headers
        std::to_string(in_.options.message_bytes_max / 3 * 4 + 65'536),
        std::to_string(take_bytes_max), in_.self + ".", std::to_string(first)};
    for (const auto& one : queues_)
        arguments.push_back(one.entry_end);
    in_.lua.take.run(in_.commands, std::move(keys), std::move(arguments),
                     [this, first, asked, from = queues_](result<reply> answer) {
                         taken(first, asked, from, std::move(answer));
                     });
}

void incoming::taken(std::uint64_t first, std::uint32_t asked, const std::vector<source>& from,
                     result<reply> answer) {
    under_way_ = 0;
    if (stopped_ || giving_back_)
        return;
    if (!answer || answer->is_error()) {
        for (std::uint64_t n = first; n < first + asked; ++n)
            lost_.insert(n);
        return refused(answer);
    }
    trouble_.clear();
    auto& items = answer->items;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
        const auto place = static_cast<std::size_t>(items[i].number);
        const auto number = first + i / 2;
        bytes += items[i + 1].text.size();
        if (items[i + 1].kind == reply::what::integer)
            drop(number, from[place].name, fmt::format("it has {} bytes", items[i + 1].number));
        else
            deliver(number, from[place], items[i + 1].text);
        items[i + 1].text = {};
        // The queue behind the one that was served last is the next one to be served first.
        if (i + 2 >= items.size() && from.size() == queues_.size())
            std::rotate(queues_.begin(),
                        queues_.begin() + static_cast<std::ptrdiff_t>((place + 1) % from.size()),
                        queues_.end());
    }
    if (items.size() / 2 < asked && bytes < take_bytes_max)
        rest();
    later();
}

void incoming::refused(const result<reply>& answer) {
    if (!answer)
        return; // the connection is gone, on_up() follows
    full_ = false;
    trouble_ = why_not(answer).message;
    look_after(after_refusal);
}

void incoming::look_after(std::chrono::milliseconds pause) {
    if (look_again_)
        return;
    look_again_ = in_.loop.at(now() + pause, [this] {
        look_again_.reset();
        full_ = true;
        later();
    });
}

// Waits for a change.
void incoming::rest() {
    full_ = false;
    if (changes_.works() && !std::exchange(looking_, true))
        changes_.look(lists(), [this](std::int64_t exist) {
            if (std::exchange(looking_, false) && exist > 0)
                wake();
        });
    pause_ = std::clamp(pause_ * 2, pause_first, pause_max);
    look_after(changes_.works() ? look_interval : pause_);
}

// --- one message

void incoming::deliver(std::uint64_t number, const source& from, const std::string& element) {
    auto one = wire::celery::decode_envelope(element);
    if (!one)
        return drop(number, from.name, one.error().message);
    const bool again = one->redelivered;
    deliver(number, from.name, from.entry_end, *std::move(one), again);
}

void incoming::deliver(std::uint64_t number, std::string queue_name, std::string end,
                       wire::celery::envelope one, bool again) {
    const auto priority = wire::celery::at(one.parts.properties, "priority").to_int();
    const auto tag = next_tag_++;
    held_.emplace(tag, held{number, in_.keys.celery.queue(queue_name, priority), std::move(end)});
    counted_.received.add();
    if (again)
        counted_.redelivered.add();
    told_.on_delivery({tag, std::move(queue_name), std::move(one.exchange),
                       std::move(one.routing_key), std::move(one.parts), again});
}

void incoming::drop(std::uint64_t number, std::string_view queue, std::string_view why) {
    counted_.unreadable.add();
    in_.log.error("a message that nobody can read was dropped", {{"queue", queue}, {"why", why}});
    acks_.push_back(number);
    later();
}

// --- after an outage

void incoming::reclaim() {
    std::vector<std::uint64_t> asked;
    while (!lost_.empty() && asked.size() < entries_max)
        asked.push_back(lost_.extract(lost_.begin()).value());
    reclaiming_.insert(asked.begin(), asked.end());
    auto names = fields(asked);
    in_.lua.reclaim.run(in_.commands, unacked_keys(), std::move(names),
                        [this, asked = std::move(asked)](result<reply> answer) {
                            reclaimed(asked, std::move(answer));
                        });
}

void incoming::reclaimed(const std::vector<std::uint64_t>& asked, result<reply> answer) {
    if (stopped_ || giving_back_)
        return;
    auto still = std::exchange(reclaiming_, {});
    if (!answer || answer->is_error()) {
        lost_.insert(still.begin(), still.end());
        return refused(answer);
    }
    std::erase_if(void_tags_,
                  [&](const auto& one) { return std::ranges::binary_search(asked, one.second); });
    for (std::size_t i = 0; i + 1 < answer->items.size(); i += 2)
        if (const auto number = number_of(answer->items[i].text); still.contains(number))
            take_back(number, answer->items[i + 1].text);
    later();
}

void incoming::take_back(std::uint64_t number, const std::string& entry) {
    auto read = wire::celery::decode_unacked(entry);
    if (!read)
        return drop(number, {}, read.error().message);
    const auto wanted = std::ranges::find(queues_, read->routing_key, &source::name);
    if (wanted == queues_.end() || prefetch_ == 0)
        return put_back({number}, [](bool) {});
    auto name = wanted->name, end = wanted->entry_end;
    deliver(number, std::move(name), std::move(end), std::move(read->delivered), true);
}

// --- giving back

// Until it is done they have places of the prefetch: what goes back to the front is to be the next one.
void incoming::put_back(std::vector<std::uint64_t> numbers, std::function<void(bool)> done) {
    returning_.insert(numbers.begin(), numbers.end());
    auto names = fields(numbers);
    const auto ended = [this, numbers = std::move(numbers), done = std::move(done)](bool good) {
        for (const auto n : numbers)
            returning_.erase(n);
        if (!good && !giving_back_)
            lose(numbers);
        done(good);
    };
    in_.lua.reclaim.run(
        in_.commands, unacked_keys(), std::move(names), [this, ended](result<reply> answer) {
            if (!answer || answer->is_error() || stopped_)
                return ended(false);
            std::vector<remembered> all;
            for (std::size_t i = 0; i + 1 < answer->items.size(); i += 2)
                all.push_back(
                    {std::move(answer->items[i].text), "", std::move(answer->items[i + 1].text)});
            back_.put_back(all,
                           [ended](const result<void>& outcome) { ended(outcome.has_value()); });
        });
}

// The last first: the one that was taken first is to be in front.
void incoming::give_back(std::function<void(bool)> done) {
    giving_back_ = true;
    send_acks();
    std::set<std::uint64_t, std::greater<>> all(lost_.begin(), lost_.end());
    all.insert(reclaiming_.begin(), reclaiming_.end());
    all.insert(returning_.begin(), returning_.end());
    for (const auto& [tag, one] : held_)
        all.insert(one.number);
    for (std::uint64_t n = next_number_ - under_way_; n < next_number_; ++n)
        all.insert(n);
    held_.clear();
    void_tags_.clear();
    struct round {
        std::size_t left;
        bool good;
    };
    auto common = std::make_shared<round>(round{(all.size() + entries_max - 1) / entries_max, up_});
    if (!up_ || all.empty())
        return done(up_);
    for (auto next = all.begin(); next != all.end();) {
        std::vector<std::uint64_t> some;
        while (next != all.end() && some.size() < entries_max)
            some.push_back(*next++);
        put_back(std::move(some), [common, done](bool good) {
            common->good = common->good && good;
            if (--common->left == 0)
                done(common->good);
        });
    }
}

// --- names

std::size_t incoming::outstanding() const noexcept {
    return held_.size() + under_way_ + returning_.size() + lost_.size() + reclaiming_.size();
}

std::vector<std::string> incoming::lists() const {
    std::vector<std::string_view> names;
    for (const auto& one : queues_)
        names.push_back(one.name);
    return in_.keys.celery.queues(names);
}

std::vector<std::string> incoming::fields(const std::vector<std::uint64_t>& numbers) const {
    std::vector<std::string> out;
    out.reserve(numbers.size());
    for (const auto n : numbers)
        out.push_back(in_.field(n));
    return out;
}

std::vector<std::string> incoming::unacked_keys() const {
    return {in_.keys.celery.unacked(), in_.keys.celery.unacked_index()};
}

} // namespace carillon::jobs::redis
