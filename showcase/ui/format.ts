// Numbers, sizes, times and durations as people read them.

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 1234567 → "1,234,567". */
export function count(value: number): string {
  return grouped.format(value);
}

/** A measured number with about four significant digits: 0.001234, 12.35, 1,234,568, 1.235e+12. */
export function measure(value: number): string {
  if (!Number.isFinite(value)) {
    return String(value);
  }
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e12 || size < 1e-4)) {
    return value.toExponential(3);
  }
  if (Number.isInteger(value)) {
    return count(value);
  }
  const digits = size >= 1000 ? 1 : size >= 100 ? 2 : size >= 1 ? 3 : 5;
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(value);
}

/** 1536 → "1.5 KB". */
export function size(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  if (unit === 0) {
    return `${count(bytes)} ${bytes === 1 ? "byte" : "bytes"}`;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export function percent(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) {
    return "0 %";
  }
  const share = (part / whole) * 100;
  return share < 0.1 ? "< 0.1 %" : `${share.toFixed(share < 10 && share % 1 !== 0 ? 1 : 0)} %`;
}

/** 40 ms, 4.2 s, 12 s, 3 min 20 s, 2 h 5 min. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 1) {
    return `${Math.round(seconds * 1000)} ms`;
  }
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  if (whole < 3600) {
    return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  }
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** The time today, the date and time otherwise. */
export function moment(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) {
    return iso;
  }
  const today = time.toDateString() === new Date().toDateString();
  return time.toLocaleString(
    undefined,
    today ? { hour: "2-digit", minute: "2-digit", second: "2-digit" } : { dateStyle: "medium", timeStyle: "short" },
  );
}
