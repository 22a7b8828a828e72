// A finished report: what the file is, an overview of its columns, and a card for each.
import { useDeferredValue, useState } from "react";
import { count, measure, percent, size } from "../../ui/format.ts";
import { resultData, resultPage, type Column, type Report } from "./api.ts";
import { edge, Histogram, Spread, TopValues } from "./histogram.tsx";

const filterFrom = 9;
const delimiters: Record<string, string> = { ",": "Comma", ";": "Semicolon", "\t": "Tab", "|": "Bar" };
const typeLooks: Record<string, string> = { integer: "accent", number: "accent", date: "bronze", datetime: "bronze" };

const has = <T,>(value: T | null | undefined): value is T => value !== null && value !== undefined;
const anchor = (index: number) => `column-${index + 1}`;
const nameOf = (column: Column, index: number) => column.name || `Column ${index + 1}`;

function Distinct({ column }: { column: Column }) {
  return column.distinct_is_exact ? (
    <>{count(column.distinct)}</>
  ) : (
    <span title="An estimate: there are too many to count each">
      <span aria-hidden="true">≈ </span>
      <span className="hidden-visually">about </span>
      {count(column.distinct)}
    </span>
  );
}

function Tiles({ report }: { report: Report }) {
  const cells = report.rows * report.columns.length;
  const missing = report.columns.reduce((sum, column) => sum + column.missing, 0);
  const bad = report.bad_rows ?? 0;
  const first = report.first_bad_row;
  const tiles: [string, string, string?][] = [
    ["Rows", count(report.rows)],
    ["Columns", count(report.columns.length)],
    ["Size", size(report.bytes)],
    ["Missing cells", percent(missing, cells), `${count(missing)} of ${count(cells)}`],
  ];
  if (report.delimiter) {
    tiles.push(["Separator", delimiters[report.delimiter] ?? report.delimiter]);
  }
  return (
    <>
      <dl className="tiles">
        {tiles.map(([name, value, more]) => (
          <div className="card tile" key={name}>
            <dt>{name}</dt>
            <dd className="figures">{value}</dd>
            {more && <dd className="tile-more figures">{more}</dd>}
          </div>
        ))}
      </dl>
      {bad > 0 && (
        <div className="notice bronze" role="note">
          <p>
            {count(bad)} {bad === 1 ? "row was" : "rows were"} left out.
            {first && ` The first stands in line ${count(first.line)}: ${first.reason}.`}
          </p>
        </div>
      )}
    </>
  );
}

function Overview({ columns, rows }: { columns: [Column, number][]; rows: number }) {
  return (
    <div className="card table-scroll" tabIndex={0} role="region" aria-label="Overview of the columns">
      <table className="overview">
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">Type</th>
            <th scope="col" className="number">
              Missing
            </th>
            <th scope="col" className="number">
              Distinct
            </th>
            <th scope="col" className="number">
              Minimum
            </th>
            <th scope="col" className="number">
              Median
            </th>
            <th scope="col" className="number">
              Maximum
            </th>
          </tr>
        </thead>
        <tbody className="figures">
          {columns.map(([column, index]) => (
            <tr key={index}>
              <th scope="row">
                <a href={`#${anchor(index)}`}>{nameOf(column, index)}</a>
              </th>
              <td className="soft">{column.type}</td>
              <td className="number">{percent(column.missing, rows)}</td>
              <td className="number">
                <Distinct column={column} />
              </td>
              <td className="number">{has(column.min) ? edge(column.min) : ""}</td>
              <td className="number">{has(column.median) ? edge(column.median) : ""}</td>
              <td className="number">{has(column.max) ? edge(column.max) : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function figuresOf(column: Column): [string, string][] {
  const about = column.median_is_exact === false ? "≈ " : "";
  const days = column.type === "date" || column.type === "datetime" ? " days" : "";
  const list: [string, string | null][] = [
    ["Minimum", has(column.min) ? edge(column.min) : null],
    ["Quartile 1", has(column.q1) ? about + edge(column.q1) : null],
    ["Median", has(column.median) ? about + edge(column.median) : null],
    ["Quartile 3", has(column.q3) ? about + edge(column.q3) : null],
    ["Maximum", has(column.max) ? edge(column.max) : null],
    ["Mean", has(column.mean) ? edge(column.mean) : null],
    ["Deviation", has(column.stddev) ? measure(column.stddev) + days : null],
  ];
  return list.filter((entry): entry is [string, string] => entry[1] !== null);
}

function ColumnCard({ column, index, rows }: { column: Column; index: number; rows: number }) {
  const name = nameOf(column, index);
  const bins = column.histogram ?? [];
  const top = column.top ?? [];
  const figures = figuresOf(column);
  const long = figures.some(([, value]) => value.length > 9) ? "long" : "";
  return (
    <article className="card column" id={anchor(index)} aria-labelledby={`${anchor(index)}-name`}>
      <header>
        <h3 id={`${anchor(index)}-name`}>{name}</h3>
        <span className={`badge ${typeLooks[column.type] ?? ""}`}>{column.type}</span>
      </header>
      <p className="column-facts figures">
        <span>
          <Distinct column={column} /> distinct
        </span>
        <span className={column.missing > 0 ? "some-missing" : ""}>
          {column.missing > 0 ? `${count(column.missing)} missing (${percent(column.missing, rows)})` : "none missing"}
        </span>
      </p>
      {bins.length > 0 && <Histogram bins={bins} name={name} />}
      {bins.length > 0 && <Spread bins={bins} q1={column.q1} median={column.median} q3={column.q3} />}
      {top.length > 0 && bins.length === 0 && <TopValues values={top} total={rows - column.missing} name={name} />}
      {top.length > 0 && bins.length === 0 && column.top_is_exact === false && (
        <p className="column-note">Counts are estimates: there are too many values to keep each.</p>
      )}
      <dl className={`column-figures figures ${long}`}>
        {figures.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd title={value}>{value}</dd>
          </div>
        ))}
      </dl>
    </article>
  );
}

export function ReportView({ id, report }: { id: string; report: Report }) {
  const [wanted, setWanted] = useState("");
  const filter = useDeferredValue(wanted).trim().toLowerCase();
  const columns = report.columns
    .map((column, index): [Column, number] => [column, index])
    .filter(([column, index]) => nameOf(column, index).toLowerCase().includes(filter));
  return (
    <section className="report" aria-label="Result" data-report={id}>
      <Tiles report={report} />
      <div className="report-bar">
        <h2>Columns</h2>
        {report.columns.length >= filterFrom && (
          <label className="filter">
            <span className="hidden-visually">Show the columns whose name contains</span>
            <input
              type="search"
              placeholder="Find a column"
              value={wanted}
              onChange={(event) => setWanted(event.target.value)}
            />
          </label>
        )}
        <span className="report-links">
          <a href={resultPage(id)}>Printable page</a>
          <a href={resultData(id)}>JSON</a>
        </span>
      </div>
      {columns.length === 0 && <p className="soft">No column has this in its name.</p>}
      {columns.length > 0 && <Overview columns={columns} rows={report.rows} />}
      <div className="columns">
        {columns.map(([column, index]) => (
          <ColumnCard key={index} column={column} index={index} rows={report.rows} />
        ))}
      </div>
    </section>
  );
}
