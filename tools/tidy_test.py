"""tidy.py: a bad sample for each rule is caught, on the right line, and good neighbours pass."""

import pathlib
import unittest

import tidy
from cpp_text import Source
from sample_tree import SampleTree

HEADER = "// What this is for.\n#pragma once\n"


class Rules(SampleTree):
    def found(self, text, name="src/net/a.cpp"):
        self.write(name, text)
        return tidy.check(self.root)

    def caught(self, text, line, word, name="src/net/a.cpp"):
        found = self.found(text, name)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(f"{name}:{line}: "), found)
        self.assertIn(word, found[0])

    def passes(self, text, name="src/net/a.cpp"):
        self.assertEqual(self.found(text, name), [])

    def body(self, *lines):
        return "task<> f(int n) {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


class Text(Rules):
    def test_tabs(self):
        self.caught("int a;\n\tint b;\n", 2, "a tab")

    def test_blanks_at_the_end(self):
        self.caught("int a; \n", 1, "blanks")

    def test_last_newline(self):
        self.caught("int a;", 1, "one newline")
        self.caught("int a;\n\n", 3, "one newline")

    def test_unfinished_work(self):
        for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"):
            self.caught(f"# Title\n\n{word}: more\n", 3, "unfinished", "docs/a.md")

    def test_suppressed_checks(self):
        self.caught("int a; // NO" + "LINT\n", 1, "suppressed")

    def test_code_of_101_columns(self):
        self.passes("int " + "a" * 95 + ";\n")
        self.caught("int " + "a" * 96 + ";\n", 1, "101 columns")

    def test_comments_of_121_columns(self):
        self.passes("int a;\n// " + "a" * 117 + "\n")
        self.caught("int a;\n// " + "a" * 118 + "\n", 2, "121 columns")

    def test_a_trailing_comment_may_pass_column_100(self):
        self.passes("int a; // " + "a" * 110 + "\n")

    def test_scripts_have_120_columns(self):
        self.caught('"""A purpose of its own."""\n' + "a" * 121 + "\n", 2, "121 columns", "tools/a.py")
        (self.root / "tools/a.py").unlink()
        self.caught("a" * 121 + "\n", 1, "121 columns", "js/src/a.ts")

    def test_file_of_601_lines(self):
        self.passes("int a;\n" * 600)
        self.caught("int a;\n" * 601, 601, "601 lines")

    def test_header_of_301_lines(self):
        self.caught(HEADER + "int a;\n" * 299, 301, "301 lines", "src/net/a.hpp")

    def test_data_and_generated_files_are_left_alone(self):
        self.passes("\t\n", "fuzz/corpus/ws/a.txt")
        self.passes("\t\n", "js/package-lock.json")


class Purpose(Rules):
    def test_header_without_purpose(self):
        self.caught("#pragma once\n// Late.\n", 1, "purpose", "src/net/a.hpp")

    def test_header_without_guard(self):
        self.caught("// What this is for.\nint a;\n", 1, "pragma once", "src/net/a.hpp")

    def test_scripts_without_purpose(self):
        self.caught("#!/usr/bin/env bash\nset -e\n", 1, "purpose", "tools/a")
        (self.root / "tools/a").unlink()
        self.caught("import os\n", 1, "purpose", "tools/a.py")

    def test_scripts_with_purpose(self):
        self.passes("#!/usr/bin/env bash\n# Starts the whole thing.\n", "tools/a")


class Banned(Rules):
    def test_each_banned_call(self):
        for call in ("strcpy(a, b)", "sprintf(a, b)", "std::sprintf(a, b)", "rand()", "std::rand()", "atoi(a)",
                     "std::this_thread::sleep_for(1s)", "sleep(1)", "::usleep(1)", "std::regex r", "worker.detach()"):
            with self.subTest(call=call):
                self.caught(f"void f() {{\n    {call};\n}}\n", 2, call.split("::")[-1].split("(")[0].split(" ")[0][-6:])

    def test_names_that_only_look_alike(self):
        self.passes("void f() {\n    timer.sleep(1);\n    strand(a);\n    \"rand()\";\n    // rand()\n}\n")

    def test_routes_may_use_regular_expressions(self):
        self.passes("std::regex pattern;\n", "src/web/route_table.cpp")

    def test_the_busy_handler_of_sqlite_may_wait(self):
        self.passes("void f() {\n    std::this_thread::sleep_for(step);\n}\n", "src/db/sqlite.cpp")

    def test_sleeping_python(self):
        self.caught('"""A purpose of its own."""\nimport time\ntime.sleep(1)\n', 3, "sleeps", "tests/a.py")

    def test_swallowed_exceptions(self):
        start, end = "void f() {\n    try {\n        g();\n    } catch (...) {\n        ", ";\n    }\n}\n"
        self.caught(start + "h()" + end, 4, "swallows")
        self.passes(start + "h();\n        throw" + end)
        chain = start.replace("g()", "std::rethrow_exception(e)")
        chain = chain.replace("catch (...)", "catch (const a& b) {\n    } catch (...)")
        self.passes(chain + "h()" + end)
        self.passes(start + "e = std::current_exception()" + end)


class Coroutines(Rules):
    def test_brace_lists_beside_co_await(self):
        for text in ("co_await send({.name = s});", 'co_await send({{"type", "x"}});', "co_await f(opts{n});",
                     "auto x = co_await f(g(opts{n}));", "const foo x{co_await bar()};", "g({1, 2}, co_await bar());",
                     "if (co_await f({n})) g();", "while (!co_await f(opts{})) {\n        g();\n    }",
                     "for (auto x : co_await f({n})) g(x);", "return_to(a, co_await f(n), std::vector<int>{1});",
                     "co_return co_await f({n});", "co_await f(\n        {n});"):
            with self.subTest(text=text):
                self.caught(self.body(text), 2, "braces")

    def test_capturing_lambdas_beside_co_await(self):
        for text in ("co_await f([n] { return n; });", "co_await f([=]() { return n; });",
                     "co_await f([&](int a) { g(a); });", "g([m = n] { return m; }, co_await h());",
                     "co_await f([this] { return 1; });"):
            with self.subTest(text=text):
                self.caught(self.body(text), 2, "capturing lambda")

    def test_what_is_allowed_beside_co_await(self):
        self.passes(self.body(
            "auto options = opts{n};", "co_await f(std::move(options));", 'co_await f("{", n);',
            "co_await f(a[n], b[0](n));",
            "if (co_await f(n)) {", "    g({n});", "}", "if (a({n})) co_await f(n);", "if (co_await f(n)) send({n});",
            "while (co_await f(n)) {", "}", "switch (co_await f(n)) {", "case 1: { break; }", "}",
            "co_await f([] { return 1; });", "g([n] { return n; });", "co_await f(n);", "{ co_await f(n); }",
            "auto made = [n](int a) { return opts{a, n}; };", "co_await f(made);", "for (int i : {1, 2}) {",
            "    co_await f(i);", "}", "co_return opts{n};"))

    def test_lambda_coroutines_with_captures(self):
        for capture in ("n", "=", "&", "this", "m = n"):
            with self.subTest(capture=capture):
                self.caught(self.body(f"spawn([{capture}]() -> task<> {{ co_await f(); }});"), 2, "lambda coroutine")
        text = self.body("auto g = [n](int a) -> task<int> {", "    co_return a;", "};")
        self.caught(text, 2, "lambda coroutine")

    def test_lambda_coroutines_without_captures(self):
        self.passes(self.body("spawn([](int a) -> task<> { co_await f(a); }(n));"))
        self.passes(self.body("auto g = [n] { return [](int a) -> task<> { co_await f(a); }(n); };"))


class Functions(Rules):
    def long(self, head, count):
        return head + " {\n" + "    g();\n" * (count - 2) + "}\n"

    def test_functions_of_81_lines(self):
        for head in ("void f()", "int a::f(opts o = {}) const noexcept", 'TEST_CASE("x")', "auto f() -> b<int>",
                     "foo::foo(int a) : a_{a}, b_(2)", "template <class T = int> T f(T a)", "bool operator==(int a)",
                     "constexpr auto f = [](int a)", "foo::foo() : a_{1}"):
            with self.subTest(head=head):
                semicolon = head.startswith("constexpr")
                self.passes(self.long(head, 80).rstrip() + (";\n" if semicolon else "\n"))
                self.caught(self.long(head, 81).rstrip() + (";\n" if semicolon else "\n"), 1, "81 lines")

    def test_methods_inside_classes_and_namespaces(self):
        text = "namespace a {\nstruct b : c<d(1)> {\n" + self.long("void f()", 81) + "};\n}\n"
        self.caught(text, 3, "81 lines")

    def test_tables_and_types_are_not_functions(self):
        self.passes("const table rows = {\n" + "    {1, f(2)},\n" * 100 + "};\n")
        self.passes("struct a {\n" + "    int b();\n" * 100 + "};\n")
        self.passes("namespace a {\n" + "int b();\n" * 100 + "}\n")

    def test_python_functions(self):
        text = '"""A purpose of its own."""\n\n\ndef f():\n' + "    g()\n" * 80
        self.caught(text, 4, "81 lines", "tools/a.py")


class Reading(unittest.TestCase):
    def test_comments_strings_and_raw_strings_are_blanked(self):
        code = Source('int a = 1\'000; // {\nauto b = "}"; /* {\n{ */ auto c = R"x({{\n)")x"; char d = \'{\';\n').code
        self.assertNotIn("{", code)
        self.assertNotIn("}", code)
        self.assertEqual(code.count("\n"), 4)
        self.assertIn("1'000", code)

    def test_this_tree_follows_its_own_rules(self):
        root = pathlib.Path(__file__).resolve().parent.parent
        tools = [path for path in tidy.source_files(root) if path.parts[0] == "tools"]
        self.assertGreater(len(tools), 5)
        self.assertEqual(tidy.check(root, tools), [])


if __name__ == "__main__":
    unittest.main()
