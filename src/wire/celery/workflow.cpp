// Signatures turned into the messages that they amount to.
#include "wire/celery/json.hpp"
#include "wire/celery/parts.hpp"
#include "wire/celery/plain_message.hpp"

namespace carillon::wire::celery {

namespace {

// Roughly the memory of a value.
std::size_t weight(const value& v) noexcept {
    std::size_t bytes = sizeof(value);
    if (const auto* text = v.if_string())
        bytes += text->size();
    else if (const auto* data = v.if_bytes())
        bytes += data->size();
    else if (const auto* items = v.if_array())
        for (const auto& item : *items)
            bytes += weight(item);
    else if (const auto* members = v.if_object())
        for (const auto& [name, content] : *members)
            bytes += sizeof(std::string) + name.size() + weight(content);
    return bytes;
}

result_tuple tuple_of(std::string id) {
    result_tuple r;
    r.id = std::move(id);
    return r;
}

class planner {
public:
    planner(const sending& with, plan& out) : with_(with), out_(out) {}

    result<result_tuple> send(const signature& s, const value* in_front,
                              const std::optional<array>& then, int depth) {
        if (depth > workflow_depth_max)
            return malformed("signatures lie too deep in each other");
        if (s.subtask_type == "group")
            return send_group(s, in_front, then, depth);
        if (s.subtask_type == "chain")
            return send_chain(s, in_front, then, depth);
        if (s.subtask_type == "chord")
            return send_chord(s, in_front, then, depth);
        return send_plain(s, in_front, then);
    }

    result<result_tuple> send_members(std::vector<signature> members, const std::string& id,
                                      const value* in_front, int depth) {
        auto group = tuple_of(id);
        group.is_group = true;
        for (std::size_t i = 0; i < members.size(); ++i) {
            auto& member = members[i];
            if (member.subtask_type.empty()) {
                member.options.set("group_id", id);
                member.options.set("group_index", i);
            }
            auto sent = send(member, in_front, {}, depth + 1);
            if (!sent)
                return sent.error();
            group.members.push_back(*std::move(sent));
        }
        return group;
    }

private:
    result<result_tuple> send_plain(const signature& s, const value* in_front,
                                    const std::optional<array>& then) {
        auto made = message_of(s, with_, in_front, chain_of(s, then));
        if (!made)
            return made.error();
        const auto& m = made->what;
        bytes_ += weight(m.args) + weight(m.kwargs) + weight(m.embed) + weight(m.extra);
        if (bytes_ > plan_bytes_max)
            return failure{errc::too_large, "a workflow makes too many or too large messages"};
        auto sent = tuple_of(m.id);
        out_.messages.push_back(*std::move(made));
        return sent;
    }

    result<result_tuple> send_group(const signature& s, const value* in_front,
                                    const std::optional<array>& then, int depth) {
        auto members = read_signatures(at(s.kwargs, "tasks"));
        if (!members)
            return members.error();
        auto id = text_of(s.options, "task_id");
        if (id.empty())
            id = with_.new_id();
        if (!then || then->empty())
            return send_members(*std::move(members), id, in_front, depth);
        auto body = read_signature(then->back());
        if (!body)
            return body.error();
        auto rest = *then;
        rest.pop_back();
        return send_header(*std::move(members), id, *std::move(body), in_front, rest, depth);
    }

    result<result_tuple> send_chain(const signature& s, const value* in_front,
                                    const std::optional<array>& then, int depth) {
        auto steps = read_signatures(at(s.kwargs, "tasks"));
        if (!steps)
            return steps.error();
        if (steps->empty())
            return malformed("a chain has no steps");
        // Every step has its id from the start, so that a failure can be told to all that follow.
        const auto last_id = text_of(s.options, "task_id");
        for (auto& step : *steps)
            if (text_of(step.options, "task_id").empty())
                step.options.set("task_id", &step == &steps->back() && !last_id.empty()
                                                ? last_id
                                                : with_.new_id());
        // And knows who waits for it, whoever sends it on.
        for (auto& step : *steps)
            if (text_of(step.options, "reply_to").empty() && !with_.reply_to.empty())
                step.options.set("reply_to", with_.reply_to);
        // What was asked of the chain is asked of its last step.
        auto& last = steps->back();
        for (auto name : {"link", "link_error", "chord", "group_id", "group_index"})
            if (const auto* asked = s.options.find(name); asked && !last.options.find(name))
                last.options.set(name, *asked);
        array follow = then ? *then : array();
        for (auto step = steps->rbegin(); step + 1 != steps->rend(); ++step)
            follow.push_back(to_value(*step));
        auto sent = send(steps->front(), in_front, follow, depth + 1);
        if (!sent)
            return sent;
        for (std::size_t i = 1; i < steps->size(); ++i) {
            auto next = tuple_of(text_of((*steps)[i].options, "task_id"));
            next.parent.push_back(*std::move(sent));
            sent = std::move(next);
        }
        return sent;
    }

    result<result_tuple> send_chord(const signature& s, const value* in_front,
                                    const std::optional<array>& then, int depth) {
        auto body = read_signature(at(s.kwargs, "body"));
        if (!body)
            return body.error();
        const auto& header = at(s.kwargs, "header");
        auto id = std::string(header["options"]["task_id"].to_text());
        if (id.empty())
            id = with_.new_id();
        auto members =
            read_signatures(header.is_object() && header["subtask_type"] == value("group")
                                ? header["kwargs"]["tasks"]
                                : header);
        if (!members)
            return members.error();
        if (const auto body_id = text_of(s.options, "task_id");
            !body_id.empty() && text_of(body->options, "task_id").empty())
            body->options.set("task_id", body_id);
        for (auto name : {"link", "link_error"})
            if (const auto* asked = s.options.find(name); asked && !body->options.find(name))
                body->options.set(name, *asked);
        return send_header(*std::move(members), id, *std::move(body), in_front,
                           then ? *then : array(), depth);
    }

    // Groups inside a header are members of the header.
    static result<void> flatten(std::vector<signature>&& from, std::vector<signature>& into,
                                int depth) {
        if (depth > workflow_depth_max)
            return malformed("signatures lie too deep in each other");
        for (auto& s : from) {
            if (s.subtask_type != "group") {
                into.push_back(std::move(s));
                continue;
            }
            auto inner = read_signatures(at(s.kwargs, "tasks"));
            if (!inner)
                return inner.error();
            if (auto done = flatten(*std::move(inner), into, depth + 1); !done)
                return done;
        }
        return {};
    }

    // The last message of a member is the one that counts.
    static result<void> join(signature& member, const value& body, const std::string& group_id,
                             std::size_t index, int depth) {
        if (depth > workflow_depth_max)
            return malformed("signatures lie too deep in each other");
        if (member.subtask_type == "chain" || member.subtask_type == "chord") {
            const bool is_chain = member.subtask_type == "chain";
            auto* inside = member.kwargs.find(is_chain ? "tasks" : "body");
            if (inside && is_chain)
                inside = inside->if_array() && !inside->if_array()->empty()
                             ? &inside->if_array()->back()
                             : nullptr;
            if (!inside)
                return malformed("a member of a chord has no steps");
            auto last = read_signature(*inside);
            if (!last)
                return last.error();
            if (auto done = join(*last, body, group_id, index, depth + 1); !done)
                return done;
            *inside = to_value(*last);
            return {};
        }
        member.options.set("chord", body);
        member.options.set("group_id", group_id);
        member.options.set("group_index", index);
        return {};
    }

    result<result_tuple> send_header(std::vector<signature> from, const std::string& id,
                                     signature body, const value* in_front, const array& rest,
                                     int depth) {
        std::vector<signature> members;
        if (auto done = flatten(std::move(from), members, depth); !done)
            return done.error();
        if (members.empty()) {
            const value nothing{array()};
            return send(body, &nothing, rest, depth + 1);
        }
        if (text_of(body.options, "task_id").empty())
            body.options.set("task_id", with_.new_id());
        if (text_of(body.options, "reply_to").empty() && !with_.reply_to.empty())
            body.options.set("reply_to", with_.reply_to);
        if (!rest.empty())
            body.options.set("chain", chain_of(body, rest));
        auto group = tuple_of(id);
        group.is_group = true;
        out_.chord_sizes.push_back({id, static_cast<std::int64_t>(members.size())});
        const auto body_value = to_value(body);
        for (std::size_t i = 0; i < members.size(); ++i) {
            if (auto done = join(members[i], body_value, id, i, depth); !done)
                return done.error();
            auto sent = send(members[i], in_front, {}, depth + 1);
            if (!sent)
                return sent;
            group.members.push_back(*std::move(sent));
        }
        auto whole = tuple_of(text_of(body.options, "task_id"));
        whole.parent.push_back(std::move(group));
        return whole;
    }

    const sending& with_;
    plan& out_;
    std::size_t bytes_ = 0;
};

// The plan of several: groups each for themselves, plain ones as one group.
result<void> send_callbacks(const std::vector<signature>& all, planner& p, const sending& with,
                            const value* in_front, bool one_is_a_group, plan& out) {
    std::vector<signature> plain;
    for (const auto& s : all) {
        if (s.subtask_type != "group" && (all.size() > 1 || one_is_a_group)) {
            plain.push_back(s);
            continue;
        }
        auto sent = p.send(s, in_front, {}, 0);
        if (!sent)
            return sent.error();
        out.children.push_back(*std::move(sent));
    }
    if (plain.empty())
        return {};
    auto sent = p.send_members(std::move(plain), with.new_id(), in_front, 0);
    if (!sent)
        return sent.error();
    out.children.push_back(*std::move(sent));
    return {};
}

sending from(const message& m, sending with) {
    with.parent_id = m.id;
    with.root_id = m.root_id.empty() ? m.id : m.root_id;
    return with;
}

} // namespace

result<plan> send_signature(const signature& s, const sending& with, const value* in_front,
                            const std::optional<array>& then) {
    plan out;
    planner p(with, out);
    auto sent = p.send(s, in_front, then, 0);
    if (!sent)
        return sent.error();
    out.children.push_back(*std::move(sent));
    return out;
}

result<plan> after_success(const message& done, const value& outcome, sending with) {
    with = from(done, std::move(with));
    plan out;
    planner p(with, out);
    auto callbacks = read_signatures(at(done.embed, "callbacks"));
    if (!callbacks)
        return callbacks.error();
    if (auto sent = send_callbacks(*callbacks, p, with, &outcome, false, out); !sent)
        return sent.error();
    const auto& chain = at(done.embed, "chain");
    if (chain.is_null())
        return out;
    const auto* steps = chain.if_array();
    if (!steps)
        return malformed("the chain of a message is no array");
    if (steps->empty())
        return out;
    auto next = read_signature(steps->back());
    if (!next)
        return next.error();
    auto sent = p.send(*next, &outcome, array(steps->begin(), steps->end() - 1), 0);
    if (!sent)
        return sent.error();
    out.children.push_back(*std::move(sent));
    return out;
}

result<plan> after_failure(const message& failed, sending with) {
    with = from(failed, std::move(with));
    plan out;
    planner p(with, out);
    auto errbacks = read_signatures(at(failed.embed, "errbacks"));
    if (!errbacks)
        return errbacks.error();
    const value id(failed.id);
    if (auto sent = send_callbacks(*errbacks, p, with, &id, true, out); !sent)
        return sent.error();
    return out;
}

result<chord_end> end_of_chord(const message& last, const std::vector<std::string>& members,
                               sending with) {
    auto body = read_signature(at(last.embed, "chord"));
    if (!body)
        return body.error();
    chord_end end;
    end.body_id = text_of(body->options, "task_id");
    array outcomes;
    outcomes.reserve(members.size());
    for (const auto& text : members) {
        const auto parsed = read_json(text);
        const auto* parts = parsed ? parsed->if_array() : nullptr;
        if (!parts || parts->size() != 4)
            return malformed("the result of a member of a chord is no array of four");
        const auto status = (*parts)[2].to_text();
        if (status == state::failure || status == state::revoked) {
            end.error = chord_error((*parts)[1].to_text(), read_exception((*parts)[3]));
            message failed;
            failed.id = end.body_id;
            failed.embed.append("errbacks", list_or_null(at(body->options, "link_error")));
            auto errbacks = after_failure(failed, std::move(with));
            if (!errbacks)
                return errbacks.error();
            end.errbacks = *std::move(errbacks);
            return end;
        }
        outcomes.push_back((*parts)[3]);
    }
    const value all(std::move(outcomes));
    auto sent = send_signature(*body, from(last, std::move(with)), &all);
    if (!sent)
        return sent.error();
    end.body = *std::move(sent);
    return end;
}

} // namespace carillon::wire::celery
