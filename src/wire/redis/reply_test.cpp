#include "wire/redis/reply.hpp"

#include <doctest/doctest.h>

namespace carillon::wire::redis {

namespace {

using what = reply::what;

// One reply as text, so that a test states what it expects in one line.
std::string shown(const reply& r) {
    switch (r.kind) {
    case what::nil: return "nil";
    case what::status: return "status " + r.text;
    case what::error: return "error " + r.text;
    case what::integer: return std::to_string(r.number);
    case what::text: return '"' + r.text + '"';
    case what::list: break;
    }
    std::string out = "[";
    for (const auto& item : r.items)
        out += (out.size() > 1 ? ", " : "") + shown(item);
    return out + "]";
}

// All replies that are whole, each shown; "corrupt" at the end when the stream broke.
std::vector<std::string> drained(reply_reader& reader) {
    std::vector<std::string> out;
    for (;;) {
        auto next = reader.next();
        if (!next) {
            CHECK(next.error().code == errc::corrupt);
            out.push_back("corrupt");
            return out;
        }
        if (!*next)
            return out;
        out.push_back(shown(**next));
    }
}

std::vector<std::string> read(std::string_view stream) {
    reply_reader reader;
    reader.append(stream);
    return drained(reader);
}

using lines = std::vector<std::string>;

const std::string every_kind =
    "+OK\r\n-WRONGTYPE no such thing\r\n:-42\r\n$5\r\na\r\nb\n\r\n$0\r\n\r\n$-1\r\n"
    "*-1\r\n*0\r\n*3\r\n:1\r\n*2\r\n$1\r\nx\r\n*1\r\n$-1\r\n+fine\r\n";
const lines every_kind_shown = {
    "status OK", "error WRONGTYPE no such thing",   "-42", "\"a\r\nb\n\"", "\"\"", "nil", "nil",
    "[]",        "[1, [\"x\", [nil]], status fine]"};

} // namespace

TEST_CASE("every kind of reply is read") {
    CHECK(read(every_kind) == every_kind_shown);
    reply_reader reader;
    reader.append("-READONLY You can't write\r\n-ERR\r\n+OK\r\n");
    CHECK(reader.next().value()->error_code() == "READONLY");
    CHECK(reader.next().value()->error_code() == "ERR");
    CHECK(reader.next().value()->error_code().empty());
}

TEST_CASE("replies may be cut at every byte") {
    for (std::size_t at = 0; at <= every_kind.size(); ++at) {
        CAPTURE(at);
        reply_reader reader;
        reader.append(std::string_view(every_kind).substr(0, at));
        auto all = drained(reader);
        reader.append(std::string_view(every_kind).substr(at));
        for (auto& more : drained(reader))
            all.push_back(std::move(more));
        CHECK(all == every_kind_shown);
    }
    reply_reader reader;
    lines all;
    for (const char c : every_kind) {
        reader.append({&c, 1});
        for (auto& more : drained(reader))
            all.push_back(std::move(more));
    }
    CHECK(all == every_kind_shown);
}

TEST_CASE("the whole range of integers is read, and nothing beyond it") {
    CHECK(read(":9223372036854775807\r\n:-9223372036854775808\r\n") ==
          lines{"9223372036854775807", "-9223372036854775808"});
    CHECK(read(":9223372036854775808\r\n") == lines{"corrupt"});
    CHECK(read(":1x\r\n") == lines{"corrupt"});
    CHECK(read(":\r\n") == lines{"corrupt"});
}

TEST_CASE("texts are bytes") {
    std::string text;
    for (int c = 0; c < 256; ++c)
        text += static_cast<char>(c);
    CHECK(read("$256\r\n" + text + "\r\n") == lines{'"' + text + '"'});
}

TEST_CASE("a large text arrives whole, in large and in small pieces") {
    std::string text(8'000'000, '\n');
    for (std::size_t i = 0; i < text.size(); i += 7)
        text[i] = static_cast<char>('a' + i % 26);
    const auto stream = "$8000000\r\n" + text + "\r\n:7\r\n";
    for (const std::size_t piece : {stream.size(), std::size_t{65'536}, std::size_t{1'000}}) {
        CAPTURE(piece);
        reply_reader reader;
        for (std::size_t at = 0; at < stream.size(); at += piece)
            reader.append(std::string_view(stream).substr(at, piece));
        CHECK(reader.next().value()->text == text);
        CHECK(reader.next().value()->number == 7);
        CHECK_FALSE(reader.next().value());
    }
}

TEST_CASE("many replies in one piece come in their order") {
    std::string stream;
    for (int i = 0; i < 100'000; ++i)
        stream += ":" + std::to_string(i) + "\r\n";
    reply_reader reader;
    reader.append(stream);
    for (int i = 0; i < 100'000; ++i)
        REQUIRE(reader.next().value()->number == i);
    CHECK_FALSE(reader.next().value());
}

TEST_CASE("what is no reply breaks the stream after the replies before it") {
    for (const std::string bad :
         {"x\r\n", "\r\n", "GET / HTTP/1.1\r\n", "$-2\r\n", "$x\r\n", "$ 1\r\na\r\n", "*-2\r\n",
          "*x\r\n", "*4294967296\r\n", "$99999999999999999999\r\n", "*1\r\n!\r\n",
          "%1\r\n+a\r\n+b\r\n"}) {
        CAPTURE(bad);
        CHECK(read("+OK\r\n:1\r\n" + bad) == lines{"status OK", "1", "corrupt"});
    }
    reply_reader reader;
    reader.append("!");
    reader.append("+OK\r\n");
    CHECK(drained(reader) == lines{"corrupt"});
    CHECK(drained(reader) == lines{"corrupt"});
}

TEST_CASE("lists are read eight deep and no deeper") {
    const auto nested = [](int depth) {
        std::string out;
        for (int i = 0; i < depth; ++i)
            out += "*1\r\n";
        return out + ":1\r\n";
    };
    CHECK(read(nested(8)) == lines{"[[[[[[[[1]]]]]]]]"});
    CHECK(read(nested(9)) == lines{"corrupt"});
    CHECK(read(nested(100'000)) == lines{"corrupt"});
}

TEST_CASE("announced lengths alone take no memory and end nothing") {
    // Under a limit of 1 KB any allocation for what was announced would fail the reader.
    for (const std::string head : {"*2147483647\r\n", "$536870912\r\n", "$9223372036854775807\r\n",
                                   "*2\r\n$2147483648\r\n", "*2147483647\r\n*2147483647\r\n"}) {
        CAPTURE(head);
        reply_reader reader(1024);
        reader.append(head);
        CHECK(drained(reader).empty());
    }
}

TEST_CASE("a reply above its limit of memory breaks the stream, many small ones do not") {
    const auto read_with_limit = [](std::size_t limit, std::string_view stream) {
        reply_reader reader(limit);
        reader.append(stream);
        return drained(reader);
    };
    CHECK(read_with_limit(1024, "$2000\r\n" + std::string(2000, 'x')) == lines{"corrupt"});
    CHECK(read_with_limit(1024, "$2000\r\n" + std::string(2000, 'x') + "\r\n") == lines{"corrupt"});
    std::string items = "*1000\r\n";
    for (int i = 0; i < 1000; ++i)
        items += ":1\r\n";
    CHECK(read_with_limit(8'192, items) == lines{"corrupt"});
    CHECK(read_with_limit(1'000'000, items).front().size() == 3'000);
    std::string small;
    for (int i = 0; i < 1000; ++i)
        small += "$3\r\nabc\r\n";
    CHECK(read_with_limit(1024, small).size() == 1000);
}

TEST_CASE("a line without an end breaks the stream at 64 KiB") {
    for (const char kind : {'+', '-', ':', '$', '*'}) {
        CAPTURE(kind);
        reply_reader reader;
        const std::string digits(60'000, '1');
        reader.append({&kind, 1});
        reader.append(digits);
        CHECK(drained(reader).empty());
        reader.append(digits);
        CHECK(drained(reader) == lines{"corrupt"});
    }
    CHECK(read("+" + std::string(60'000, 'x') + "\r\n").front().size() == 60'007);
}

TEST_CASE("a reader may be moved in the middle of a reply") {
    reply_reader first;
    first.append("*2\r\n$3\r\nab");
    reply_reader second(std::move(first));
    second.append("c\r\n:1\r\n");
    CHECK(drained(second) == lines{"[\"abc\", 1]"});
}

TEST_CASE("a command is an array of texts") {
    CHECK(command("PING").bytes() == "*1\r\n$4\r\nPING\r\n");
    CHECK(command({"SET", "key", "a\r\nb"}).bytes() ==
          "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$4\r\na\r\nb\r\n");
    CHECK(command("EXPIRE").add("").add(-60).bytes() ==
          "*3\r\n$6\r\nEXPIRE\r\n$0\r\n\r\n$3\r\n-60\r\n");
    CHECK(command("X").add(INT64_MIN).bytes() ==
          "*2\r\n$1\r\nX\r\n$20\r\n-9223372036854775808\r\n");
    CHECK(command({"auth", "user", "secret"}).name() == "auth");
}

} // namespace carillon::wire::redis
