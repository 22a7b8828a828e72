"""check_layers.py: each rule catches a bad include, and good ones pass."""

import unittest

import check_layers
from sample_tree import SampleTree


class Layers(SampleTree):
    def setUp(self):
        super().setUp()
        for layer in check_layers.MAY_INCLUDE:
            self.write(f"include/carillon/{layer}/thing.hpp", "// A thing.\n#pragma once\n")
            self.write(f"src/{layer}/part.hpp", "// A part.\n#pragma once\n")

    def refused(self, name, text, word):
        self.write(name, text)
        found = check_layers.check(self.root)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(f"{name}:"), found)
        self.assertIn(word, found[0])

    def accepted(self, name, text):
        self.write(name, text)
        self.assertEqual(check_layers.check(self.root), [])

    def test_every_layer_refuses_what_stands_below_it(self):
        names = list(check_layers.MAY_INCLUDE)
        for place, layer in enumerate(names):
            for lower in names[place + 1:]:
                name = f"src/{layer}/{lower}_user.cpp"
                with self.subTest(layer=layer, lower=lower):
                    self.refused(name, f"#include <carillon/{lower}/thing.hpp>\n", f"not {lower}")
                (self.root / name).unlink()

    def test_siblings_are_kept_apart(self):
        self.refused("src/web/page.cpp", '#include "db/part.hpp"\n', "web may include")

    def test_the_line_is_named(self):
        self.refused("src/net/a.cpp", "\n\n#include <carillon/web/thing.hpp>\n", "src/net/a.cpp:3:")

    def test_a_layer_includes_itself_and_what_stands_above(self):
        own, above = '#include "web/part.hpp"\n', "#include <carillon/base/thing.hpp>\n#include <vector>\n"
        self.accepted("src/web/a.cpp", own + above)

    def test_public_headers_hide_private_ones(self):
        self.refused("include/carillon/web/b.hpp", '#include "web/part.hpp"\n', "public header")

    def test_an_unknown_layer_is_refused(self):
        self.refused("src/extra/a.cpp", "#include <vector>\n", "not a layer")

    def test_a_missing_header_is_refused(self):
        self.refused("src/web/a.cpp", "#include <carillon/web/missing.hpp>\n", "no such file")

    def test_only_net_opens_sockets(self):
        self.refused("src/jobs/a.cpp", "#include <sys/socket.h>\n", "src/net/")
        (self.root / "src/jobs/a.cpp").unlink()
        self.accepted("src/net/a.cpp", "#include <sys/socket.h>\n")

    def test_asio_and_beast_stay_in_the_http_parser(self):
        both = "#include <boost/beast/http/parser.hpp>\n#include <boost/asio/buffer.hpp>\n"
        self.accepted("src/wire/http/request.cpp", both)
        self.refused("src/net/a.cpp", "#include <boost/asio.hpp>\n", "boost/asio")

    def test_each_outside_header_has_its_layer(self):
        homes = {"boost/json.hpp": "wire", "zlib.h": "wire", "openssl/ssl.h": "net", "sqlite3.h": "db",
                 "soci/soci.h": "db", "libpq-fe.h": "db", "spdlog/spdlog.h": "app", "CLI/CLI.hpp": "app",
                 "toml++/toml.h": "app", "prometheus/registry.h": "app"}
        for header, home in homes.items():
            with self.subTest(header=header):
                self.accepted(f"src/{home}/a.cpp", f"#include <{header}>\n")
                (self.root / f"src/{home}/a.cpp").unlink()
                self.refused("src/jobs/a.cpp", f"#include <{header}>\n", "may be used in")
                (self.root / "src/jobs/a.cpp").unlink()

    def test_an_outside_header_that_nobody_listed_is_refused(self):
        self.refused("src/web/a.cpp", "#include <somelib/thing.hpp>\n", "not in the table")
        self.refused("src/web/a.cpp", "#include <somelib.h>\n", "not in the table")

    def test_tests_may_use_their_framework_and_an_independent_client(self):
        self.accepted("src/net/a_test.cpp", "#include <boost/beast/websocket.hpp>\n#include <doctest/doctest.h>\n")
        self.refused("src/net/a.cpp", "#include <doctest/doctest.h>\n", "doctest/")

    def test_the_showcase_sees_public_headers_and_itself(self):
        self.write("showcase/reports/job.hpp", "// A job.\n#pragma once\n")
        self.accepted("showcase/main.cpp", '#include <carillon/app/thing.hpp>\n#include "reports/job.hpp"\n')
        self.refused("showcase/reports/a.cpp", '#include "web/part.hpp"\n', "public headers and its own")

    def test_the_library_does_not_see_the_showcase(self):
        self.write("showcase/reports/job.hpp", "// A job.\n#pragma once\n")
        self.refused("src/app/a.cpp", '#include "showcase/reports/job.hpp"\n', "nothing of the showcase")

    def test_a_main_file_composes_what_lies_beside_it(self):
        self.write("showcase/assets.hpp", "// Assets.\n#pragma once\n")
        self.write("showcase/reports/pages.hpp", '// Pages.\n#pragma once\n#include "showcase/assets.hpp"\n')
        self.accepted("showcase/main.cpp", '#include "reports/pages.hpp"\n')
        self.write("showcase/assets.cpp", '#include "reports/pages.hpp"\n')
        self.assertEqual(len(check_layers.check(self.root)), 2)

    def test_folders_inside_a_layer_have_no_cycle(self):
        self.write("src/wire/ws/a.hpp", '// A.\n#pragma once\n#include "wire/http/b.hpp"\n')
        self.write("src/wire/http/b.hpp", '// B.\n#pragma once\n#include "wire/json/c.hpp"\n')
        self.write("src/wire/json/c.hpp", "// C.\n#pragma once\n")
        self.assertEqual(check_layers.check(self.root), [])
        self.write("src/wire/json/c.hpp", '// C.\n#pragma once\n#include "wire/ws/a.hpp"\n')
        found = check_layers.check(self.root)
        self.assertEqual(len(found), 3, found)
        self.assertIn("include each other", found[0])


if __name__ == "__main__":
    unittest.main()
