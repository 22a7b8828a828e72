#include <cmath>

#include <fmt/format.h>

#include "wire/celery/message.hpp"

namespace carillon::wire::celery {

namespace {

// Appends until the text is long enough to be cut: arguments may be megabytes.
class printer {
public:
    void put(std::string_view text) {
        if (!full())
            out_ += text;
    }
    bool full() const noexcept { return out_.size() > repr_chars_max * 4; }

    void quoted(std::string_view text) {
        const bool twice =
            text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
        const char quote = twice ? '"' : '\'';
        out_ += quote;
        for (char c : text) {
            if (full())
                break;
            if (c == quote || c == '\\')
                (out_ += '\\') += c;
            else if (c == '\n')
                out_ += "\\n";
            else if (c == '\r')
                out_ += "\\r";
            else if (c == '\t')
                out_ += "\\t";
            else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
                out_ += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
            else
                out_ += c;
        }
        out_ += quote;
    }

    void print(const value& v) {
        if (v.is_null())
            put("None");
        else if (auto* b = v.if_bool())
            put(*b ? "True" : "False");
        else if (auto* n = v.if_int64())
            put(fmt::format("{}", *n));
        else if (auto* u = v.if_uint64())
            put(fmt::format("{}", *u));
        else if (auto* d = v.if_double())
            put(number(*d));
        else if (auto* text = v.if_string())
            quoted(*text);
        else if (auto* items = v.if_array())
            sequence('[', *items, ']', false);
        else if (auto* members = v.if_object())
            mapping(*members);
        else
            put("b'...'");
    }

    void sequence(char open, const array& items, char close, bool tuple) {
        out_ += open;
        for (std::size_t i = 0; i < items.size() && !full(); ++i) {
            if (i)
                out_ += ", ";
            print(items[i]);
        }
        if (tuple && items.size() == 1)
            out_ += ',';
        out_ += close;
    }

    void mapping(const object& members) {
        out_ += '{';
        bool first = true;
        for (const auto& [name, content] : members) {
            if (full())
                break;
            if (!first)
                out_ += ", ";
            first = false;
            quoted(name);
            out_ += ": ";
            print(content);
        }
        out_ += '}';
    }

    // Cut between characters, never inside one.
    std::string cut() && {
        std::size_t characters = 0, at = 0;
        for (; at < out_.size(); ++at)
            if ((static_cast<unsigned char>(out_[at]) & 0xc0) != 0x80 &&
                ++characters > repr_chars_max - 3)
                break;
        std::size_t rest = characters;
        for (auto i = at; i < out_.size(); ++i)
            rest += i > at && (static_cast<unsigned char>(out_[i]) & 0xc0) != 0x80;
        if (rest > repr_chars_max)
            out_.replace(at, std::string::npos, "...");
        return std::move(out_);
    }

private:
    static std::string number(double d) {
        if (std::isnan(d))
            return "nan";
        if (std::isinf(d))
            return d < 0 ? "-inf" : "inf";
        auto text = fmt::format("{}", d);
        if (text.find_first_of(".e") == std::string::npos)
            text += ".0";
        return text;
    }
    std::string out_;
};

} // namespace

std::string repr_args(const array& args) {
    printer p;
    p.sequence('(', args, ')', true);
    return std::move(p).cut();
}

std::string repr(const value& v) {
    printer p;
    p.print(v);
    return std::move(p).cut();
}

std::string repr_kwargs(const object& kwargs) {
    printer p;
    p.mapping(kwargs);
    return std::move(p).cut();
}

} // namespace carillon::wire::celery
