#include "wire/redis/reply.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <deque>

#include <hiredis/read.h>

#include <carillon/base/assert.hpp>

namespace carillon::wire::redis {

namespace {

// What hiredis is fed at once. It moves the rest of its buffer to the front after each reply that used up 1 KB, so a
// large buffer of small replies would cost the square of its size.
constexpr std::size_t piece_bytes = std::size_t{16} * 1024;
// It also looks for the end of a line from the line's beginning each time.
constexpr std::size_t line_bytes_max = std::size_t{64} * 1024;

constexpr std::string_view line_end = "\r\n";

void append_head(std::string& out, char kind, std::size_t n) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
    out += kind;
    out.append(digits.data(), end);
    out += line_end;
}

// What the replies under construction may still allocate.
struct budget {
    std::size_t left = 0;

    bool take(std::size_t n) noexcept {
        if (n > left)
            return false;
        left -= n;
        return true;
    }
};

// The reply that a task fills: a new one, or the next item of its parent. An item stays where it is while it is
// filled, because its parent gets no other meanwhile. Null ends hiredis' parsing; nothing may be thrown through it.
reply* open_reply(const redisReadTask* t, reply::what kind, std::string_view text = {}) noexcept {
    if (!static_cast<budget*>(t->privdata)->take(sizeof(reply) + text.size()))
        return nullptr;
    try {
        std::string copy(text);
        auto* opened =
            t->parent ? &static_cast<reply*>(t->parent->obj)->items.emplace_back() : new reply;
        opened->kind = kind;
        opened->text = std::move(copy);
        return opened;
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void* on_string(const redisReadTask* t, char* begin, std::size_t size) {
    const auto kind = t->type == REDIS_REPLY_ERROR    ? reply::what::error
                      : t->type == REDIS_REPLY_STATUS ? reply::what::status
                                                      : reply::what::text;
    return open_reply(t, kind, {begin, size});
}

// The number of items is an announcement: memory comes with the items.
void* on_array(const redisReadTask* t, int) { return open_reply(t, reply::what::list); }

void* on_integer(const redisReadTask* t, long long n) {
    auto* opened = open_reply(t, reply::what::integer);
    if (opened)
        opened->number = n;
    return opened;
}

void* on_nil(const redisReadTask* t) { return open_reply(t, reply::what::nil); }

void on_free(void* root) { delete static_cast<reply*>(root); }

struct end_reader {
    void operator()(redisReader* r) const noexcept { redisReaderFree(r); }
};

} // namespace

std::string_view reply::error_code() const noexcept {
    if (!is_error())
        return {};
    return std::string_view(text).substr(0, text.find(' '));
}

command::command(std::initializer_list<std::string_view> words) {
    CARILLON_ASSERT(words.size() > 0, "a command has a name");
    for (const auto word : words)
        add(word);
}

command& command::add(std::string_view word) {
    if (words_++ == 0)
        name_ = word;
    append_head(body_, '$', word.size());
    body_ += word;
    body_ += line_end;
    return *this;
}

command& command::add(std::int64_t number) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    return add(std::string_view(digits.data(), end));
}

std::string command::bytes() const {
    std::string out;
    out.reserve(body_.size() + 16);
    append_head(out, '*', words_);
    out += body_;
    return out;
}

class reply_reader::impl {
public:
    explicit impl(std::size_t reply_bytes_max) : reply_bytes_max_(reply_bytes_max) {
        // hiredis takes a pointer to what it only reads.
        static redisReplyObjectFunctions functions{on_string, on_array, on_integer, on_nil,
                                                   on_free};
        reader_.reset(redisReaderCreateWithFunctions(&functions));
        if (!reader_)
            throw std::bad_alloc();
        reader_->privdata = &budget_;
        budget_.left = reply_bytes_max_;
    }

    void append(std::string_view received) {
        while (!received.empty() && problem_.empty()) {
            const auto piece = received.substr(0, piece_bytes);
            received.remove_prefix(piece.size());
            read(piece);
        }
    }

    result<std::optional<reply>> next() {
        if (!ready_.empty()) {
            std::optional<reply> first(std::move(ready_.front()));
            ready_.pop_front();
            return first;
        }
        if (!problem_.empty())
            return failure{errc::corrupt, "Redis sent what is no reply: " + problem_};
        return std::optional<reply>();
    }

private:
    void read(std::string_view piece) {
        if (redisReaderFeed(reader_.get(), piece.data(), piece.size()) != REDIS_OK)
            return fail(reader_->errstr);
        for (;;) {
            void* whole = nullptr;
            if (redisReaderGetReply(reader_.get(), &whole) != REDIS_OK)
                return fail(reader_->err == REDIS_ERR_OOM ? "it is too large" : reader_->errstr);
            if (!whole)
                break;
            const std::unique_ptr<reply> owned(static_cast<reply*>(whole));
            ready_.push_back(std::move(*owned));
            budget_.left = reply_bytes_max_;
        }
        check_rest();
    }

    // What is buffered belongs to a reply that is not whole.
    void check_rest() {
        const auto rest = reader_->len - reader_->pos;
        if (rest > reply_bytes_max_)
            return fail("it is too large");
        if (rest > line_bytes_max &&
            !std::memchr(reader_->buf + reader_->pos, '\n', line_bytes_max))
            fail("a line is too long");
    }

    void fail(std::string_view why) {
        problem_ = why;
        reader_.reset();
    }

    std::size_t reply_bytes_max_;
    budget budget_;
    std::unique_ptr<redisReader, end_reader> reader_;
    std::deque<reply> ready_;
    std::string problem_;
};

reply_reader::reply_reader(std::size_t reply_bytes_max)
    : impl_(std::make_unique<impl>(reply_bytes_max)) {}
reply_reader::~reply_reader() = default;
reply_reader::reply_reader(reply_reader&&) noexcept = default;
reply_reader& reply_reader::operator=(reply_reader&&) noexcept = default;

void reply_reader::append(std::string_view received) { impl_->append(received); }
result<std::optional<reply>> reply_reader::next() { return impl_->next(); }

} // namespace carillon::wire::redis
