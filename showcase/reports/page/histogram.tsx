// Charts as inline SVG and plain boxes, each with the same figures as text for those who do not see it.
import { count, measure } from "../../ui/format.ts";
import type { Bin, Edge } from "./api.ts";

export const edge = (value: Edge): string => (typeof value === "number" ? measure(value) : value);

const width = 280;
const height = 72;

/** Bars of equal width; the height is the share of the fullest bin. */
export function Histogram({ bins, name }: { bins: Bin[]; name: string }) {
  const first = bins[0];
  const last = bins[bins.length - 1];
  if (!first || !last) {
    return null;
  }
  const most = Math.max(...bins.map((bin) => bin.count), 1);
  const fullest = bins.reduce((a, b) => (b.count > a.count ? b : a), first);
  const step = width / bins.length;
  const gap = bins.length > 60 ? 0 : Math.min(2, step * 0.15);
  const label =
    `Histogram of ${name}: ${bins.length} bins from ${edge(first.from)} to ${edge(last.to)}; ` +
    `most, ${count(fullest.count)}, between ${edge(fullest.from)} and ${edge(fullest.to)}`;
  return (
    <figure className="histogram">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
        {bins.map((bin, i) => {
          // A bin that holds anything stays visible.
          const tall = bin.count === 0 ? 0 : Math.max(1.5, (bin.count / most) * (height - 1));
          return (
            <g key={i}>
              <rect className="bar" x={i * step} y={height - tall} width={Math.max(step - gap, 0.5)} height={tall} />
              <rect className="touch" x={i * step} y={0} width={step} height={height}>
                <title>{`${edge(bin.from)} to ${edge(bin.to)}: ${count(bin.count)}`}</title>
              </rect>
            </g>
          );
        })}
      </svg>
      <figcaption className="figures">
        <span>{edge(first.from)}</span>
        <span>{edge(last.to)}</span>
      </figcaption>
    </figure>
  );
}

export interface TopProps {
  values: { value: unknown; count: number }[];
  total: number;
  name: string;
}

const topAtMost = 6;

/** The most frequent values, each with a bar that shows its share. */
export function TopValues({ values, total, name }: TopProps) {
  const shown = values.slice(0, topAtMost);
  const most = Math.max(...shown.map((entry) => entry.count), 1);
  return (
    <ol className="top-values" aria-label={`Most frequent values of ${name}`}>
      {shown.map((entry, i) => {
        const text = String(entry.value ?? "");
        return (
          <li key={i} title={`${text}: ${count(entry.count)} of ${count(total)}`}>
            <span className="top-bar" style={{ width: `${(entry.count / most) * 100}%` }} aria-hidden="true" />
            <span className="top-value">{text.trim() === "" ? <em>blank</em> : text}</span>
            <span className="top-count figures">{count(entry.count)}</span>
          </li>
        );
      })}
    </ol>
  );
}

interface SpreadProps {
  bins: Bin[];
  q1: Edge | null | undefined;
  median: Edge | null | undefined;
  q3: Edge | null | undefined;
}

/** A date as a number, so that it has a place on the scale; NaN when there is none. */
const place = (value: Edge | null | undefined): number =>
  typeof value === "number" ? value : typeof value === "string" ? Date.parse(value) : Number.NaN;

/**
 * The middle half as a box between the quartiles, the median as a line, on the scale of the histogram above.
 * The figures stand beside it as text.
 */
export function Spread({ bins, q1, median, q3 }: SpreadProps) {
  const from = place(bins[0]?.from);
  const range = place(bins[bins.length - 1]?.to) - from;
  const [low, middle, high] = [q1, median, q3].map((value) => ((place(value) - from) / range) * 100);
  if (low === undefined || middle === undefined || high === undefined || !Number.isFinite(low + middle + high)) {
    return null;
  }
  return (
    <div className="spread" aria-hidden="true">
      <span className="spread-box" style={{ left: `${low}%`, width: `${high - low}%` }} />
      <span className="spread-median" style={{ left: `${middle}%` }} />
    </div>
  );
}
