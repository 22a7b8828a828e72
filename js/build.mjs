// Bundles the showcase's pages: hashed scripts and styles, HTML that names them, and index.json for the embedding.
//   node build.mjs [--out DIR]      DIR defaults to dist/ beside this file
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const showcase = join(here, "..", "showcase");

/** One entry per page: its script, its HTML, and the address that the server gives it. */
const pages = [
  { path: "/", script: "home/home.tsx", html: "home/home.html" },
  { path: "/reports/", script: "reports/page/reports.tsx", html: "reports/page/reports.html" },
];

const types = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

function outFolder() {
  const at = process.argv.indexOf("--out");
  return at > 0 ? resolve(process.argv[at + 1]) : join(here, "dist");
}

async function bundle(out) {
  const result = await build({
    absWorkingDir: join(here, ".."),
    entryPoints: pages.map((page) => join(showcase, page.script)),
    outdir: join(out, "assets"),
    entryNames: "[name]-[hash]",
    chunkNames: "shared-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    minify: true,
    target: ["es2022", "chrome111", "firefox113", "safari16.4"],
    jsx: "automatic",
    alias: { carillon: join(here, "src/index.ts"), "carillon/react": join(here, "src/react.ts") },
    // Pages live beside their system's C++, away from node_modules.
    nodePaths: [join(here, "node_modules")],
    tsconfigRaw: "{}",
    define: { "process.env.NODE_ENV": '"production"' },
    legalComments: "eof",
    metafile: true,
    logLevel: "warning",
  });
  return result.metafile.outputs;
}

function writeHashed(out, source) {
  const content = readFileSync(source);
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8);
  const name = `${basename(source, extname(source))}-${hash}${extname(source)}`;
  writeFileSync(join(out, "assets", name), content);
  return `/assets/${name}`;
}

function writePage(out, page, outputs, icon) {
  const wanted = relative(join(here, ".."), join(showcase, page.script));
  const [file, output] = Object.entries(outputs).find(([, entry]) => entry.entryPoint === wanted);
  const address = (path) => `/assets/${basename(path)}`;
  const tags = [
    `<link rel="icon" href="${icon}" type="image/svg+xml">`,
    output.cssBundle && `<link rel="stylesheet" href="${address(output.cssBundle)}">`,
    ...output.imports.map((entry) => `<link rel="modulepreload" href="${address(entry.path)}">`),
    `<script type="module" src="${address(file)}"></script>`,
  ];
  const html = readFileSync(join(showcase, page.html), "utf8");
  if (!html.includes("<!-- assets -->")) {
    throw new Error(`${page.html} has no place for its assets`);
  }
  const name = basename(page.html);
  writeFileSync(join(out, name), html.replace("<!-- assets -->", tags.filter(Boolean).join("\n    ")));
  return { path: page.path, file: name, type: types[".html"], immutable: false };
}

const out = outFolder();
rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "assets"), { recursive: true });
const outputs = await bundle(out);
const icon = writeHashed(out, join(showcase, "ui/icon.svg"));
const documents = pages.map((page) => writePage(out, page, outputs, icon));
const hashed = readdirSync(join(out, "assets"))
  .sort()
  .map((name) => ({ path: `/assets/${name}`, file: `assets/${name}`, type: types[extname(name)], immutable: true }));
writeFileSync(join(out, "index.json"), JSON.stringify([...documents, ...hashed], null, 2) + "\n");
