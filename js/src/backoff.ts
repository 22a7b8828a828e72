// How long to wait before the next attempt: exponential back-off with full jitter, as a pure function.

export interface BackoffOptions {
  /** Upper bound of the first wait, in milliseconds. */
  base: number;
  /** The upper bound doubles with every failure until it reaches this many milliseconds. */
  cap: number;
  /** No wait is shorter than this, in milliseconds, so that a lucky draw is never a busy loop. */
  floor: number;
}

export const defaultBackoff: Readonly<BackoffOptions> = { base: 500, cap: 30_000, floor: 100 };

/** The upper bound of the wait after `failures` failures in a row; `failures` counts from 1. */
export function ceiling(failures: number, options: BackoffOptions): number {
  // The exponent is bounded: 2 ** 1100 is Infinity, and Infinity * 0 would be NaN.
  const exponent = Math.min(Math.max(failures, 1) - 1, 40);
  return Math.min(options.cap, options.base * 2 ** exponent);
}

/** A wait in milliseconds, uniform between the floor and the ceiling. `random` gives [0, 1). */
export function backoffDelay(
  failures: number,
  random: () => number,
  options: BackoffOptions = defaultBackoff,
): number {
  const top = ceiling(failures, options);
  const bottom = Math.min(options.floor, top);
  return Math.round(bottom + random() * (top - bottom));
}
