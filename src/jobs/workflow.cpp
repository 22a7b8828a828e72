#include <carillon/jobs/workflow.hpp>

namespace carillon {

namespace {

object signature_of(std::string_view task, array args, object kwargs, std::string_view kind) {
    object s;
    s.append("task", task);
    s.append("args", std::move(args));
    s.append("kwargs", std::move(kwargs));
    s.append("options", object());
    s.append("subtask_type", kind.empty() ? value() : value(kind));
    s.append("immutable", false);
    return s;
}

value& member(value& signature, std::string_view name) {
    return *signature.if_object()->find(name);
}

} // namespace

call::call(std::string_view task, job_arguments arguments)
    : signature_(signature_of(task, std::move(arguments.args), std::move(arguments.kwargs), {})) {}

call group(const std::vector<call>& members) {
    array tasks;
    for (const auto& each : members)
        tasks.push_back(each.signature());
    call made;
    made.signature_ = signature_of("celery.group", {}, {{"tasks", std::move(tasks)}}, "group");
    return made;
}

std::string_view call::kind() const noexcept { return signature_["subtask_type"].to_text(); }

call call::with(std::string_view option, value content) const {
    call changed = *this;
    member(changed.signature_, "options").if_object()->set(option, std::move(content));
    return changed;
}

call call::with_link(std::string_view option, const call& callback) const {
    array all;
    if (const auto* there = signature_["options"][option].if_array())
        all = *there;
    all.push_back(callback.signature_);
    return with(option, std::move(all));
}

call call::id(std::string_view own) const { return with("task_id", own); }
call call::queue(std::string_view name) const { return with("queue", name); }
call call::countdown(std::chrono::milliseconds wait) const {
    return with("countdown", std::chrono::duration<double>(wait).count());
}
call call::eta(utc_time when) const { return with("eta", to_iso8601(when)); }
call call::expires(utc_time when) const { return with("expires", to_iso8601(when)); }
call call::priority(int level) const { return with("priority", level); }

call call::immutable() const {
    call changed = *this;
    member(changed.signature_, "immutable") = true;
    return changed;
}

call call::then(const call& next) const {
    array steps;
    const auto take = [&](const call& from) {
        const auto* inside =
            from.kind() == "chain" ? from.signature_["kwargs"]["tasks"].if_array() : nullptr;
        // A chain with options of its own stays one step.
        if (inside && from.signature_["options"].if_object()->empty())
            steps.insert(steps.end(), inside->begin(), inside->end());
        else
            steps.push_back(from.signature_);
    };
    take(*this);
    take(next);
    call chain;
    chain.signature_ = signature_of("celery.chain", {}, {{"tasks", std::move(steps)}}, "chain");
    return chain;
}

call call::on_success(const call& callback) const { return with_link("link", callback); }
call call::on_error(const call& callback) const {
    if (kind() != "chain" && kind() != "group")
        return with_link("link_error", callback);
    call changed = *this;
    for (auto& step : *member(member(changed.signature_, "kwargs"), "tasks").if_array()) {
        call one;
        one.signature_ = std::move(step);
        step = one.on_error(callback).signature_;
    }
    return changed;
}

} // namespace carillon
