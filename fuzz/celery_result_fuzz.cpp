// Any text as a result record, a saved group, an exception and a workflow: what is read can be written and reads to the
// same; plans of any workflow end and make messages that can be sent.
#include <string>

#include "input.hpp"
#include "wire/celery/json.hpp"
#include "wire/celery/signature.hpp"

namespace {

using namespace carillon;
using namespace carillon::wire::celery;

void check(const result_record& r) {
    for (const auto form : {record_form::stored, record_form::stored_naive, record_form::reply}) {
        const auto written = encode_result(r, form);
        fuzz::must(written.has_value(), "what is read can be written");
        const auto again = decode_result(*written);
        fuzz::must(again.has_value(), "what is written can be read");
        fuzz::must(encode_result(*again, form).value() == *written, "it reads to the same");
    }
    const auto e = read_exception(r.outcome);
    const auto again = read_exception(to_value(e));
    fuzz::must(again.type == e.type && again.module == e.module && again.code == e.code,
               "an exception reads to the same");
    static_cast<void>(to_failure(e));
    static_cast<void>(repr(e));
}

void check(const plan& p) {
    for (const auto& o : p.messages) {
        const auto parts = encode_parts(o.what);
        fuzz::must(parts.has_value(), "a planned message can be written");
        fuzz::must(decode(parts->headers, parts->properties, parts->body).has_value(),
                   "a planned message can be read");
    }
}

void check_workflow(const value& v) {
    sending with;
    with.when = utc_time();
    with.new_id = [n = 0]() mutable { return std::to_string(++n); };
    if (const auto s = read_signature(v)) {
        fuzz::must(read_signature(to_value(*s)).has_value(), "a signature reads to the same");
        const value front("front");
        if (const auto p = send_signature(*s, with, &front))
            check(*p);
    }
    message m;
    m.task = "t";
    m.id = "id";
    m.group = "g";
    if (const auto* embed = v.if_object())
        m.embed = *embed;
    if (const auto p = after_success(m, 1, with))
        check(*p);
    if (const auto p = after_failure(m, with))
        check(*p);
    static_cast<void>(abandoned_steps(m));
    static_cast<void>(end_of_member(m, state::success, v));
    if (const auto end = end_of_chord(m, {R"([1,"a","SUCCESS",1])"}, with))
        check(end->body);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (const auto r = decode_result(input))
        check(*r);
    static_cast<void>(may_replace(input));
    if (const auto group = decode_group(input))
        fuzz::must(decode_group(encode_group(*group)).has_value(), "a group reads to the same");
    if (const auto v = read_json(input)) {
        const auto text = write_json(*v);
        const auto again = read_json(text);
        fuzz::must(again.has_value() && write_json(*again) == text, "JSON reads to the same");
        check_workflow(*v);
    }
    return 0;
}
