// The CSV files of the tests: real ones of the vega-datasets package, a big one made of them, and hostile ones.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { root } from "./tab.mjs";

export const realFiles = ["flights-airport.csv", "weather.csv", "airports.csv"].map((name) =>
  join(root, "js/node_modules/vega-datasets/data", name),
);

/** Cells of a CSV text; a small reader of its own, so that the figures are checked independently. */
export function rowsOf(text) {
  const rows = [[]];
  let cell = "";
  let quoted = false;
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    if (quoted && c === '"' && text[i + 1] === '"') {
      cell += c;
      i += 1;
    } else if (c === '"') {
      quoted = !quoted;
    } else if (!quoted && (c === "," || c === "\n")) {
      rows[rows.length - 1].push(cell.replace(/\r$/, ""));
      cell = "";
      if (c === "\n") {
        rows.push([]);
      }
    } else {
      cell += c;
    }
  }
  rows[rows.length - 1].push(cell);
  return rows.filter((row) => row.length > 1 || row[0] !== "");
}

/** What a report takes for a missing value, besides the empty cell. */
const missingWords = new Set(["", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "Null", "NaN", "nan"]);

/** Rows below the header, and for each column its name and how many cells have no value. */
export function figuresOf(file) {
  const [header, ...rows] = rowsOf(readFileSync(file, "utf8"));
  const columns = header.map((name, i) => ({ name, missing: rows.filter((row) => missingWords.has(row[i])).length }));
  return { name: basename(file), rows: rows.length, columns };
}

/** Real weather rows, again and again, until the file has so many bytes. */
export function writeBig(path, bytes) {
  const [header, ...lines] = readFileSync(realFiles[1], "utf8").trimEnd().split("\n");
  const block = Buffer.from(lines.join("\n") + "\n");
  const file = openSync(path, "w");
  let written = writeSync(file, header + "\n");
  while (written < bytes) {
    written += writeSync(file, block);
  }
  closeSync(file);
  return path;
}

/** Sixty-four columns and cells that try to be markup, formulas, or endless. */
export function hostileCsv() {
  const names = ['"<img src=x onerror=alert(1)>"', '"=cmd|""/C calc""!A0"', "\u202Eevil", "W".repeat(300)];
  const header = [...names, ...Array.from({ length: 60 }, (_, i) => `column_${i}`)];
  const row = (r) => [
    '"<script>alert(1)</script>"',
    '"a\nb"',
    "&amp;",
    "M".repeat(500),
    ...Array.from({ length: 60 }, (_, i) => (i % 3 ? Math.round(Math.sin(r * i) * 1e4) / 100 : `v${(r * i) % 17}`)),
  ];
  const rows = Array.from({ length: 300 }, (_, r) => row(r).join(","));
  return { name: 'hostile "<b>" & ünï.csv', mimeType: "text/csv", buffer: Buffer.from([header, ...rows].join("\n")) };
}
