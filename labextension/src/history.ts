/** The last minutes of what a container uses, for its sparkline. */
import type { ISample } from './rest';

/** Samples that are kept: three minutes, a sample every two seconds. */
export const LENGTH = 90;

/** *history* with *sample* at its end; one that is not newer than the last is left out. */
export function addSample(history: readonly ISample[], sample: ISample): readonly ISample[] {
  const last = history[history.length - 1];
  return last && sample.at <= last.at ? history : [...history.slice(-(LENGTH - 1)), sample];
}

/** The points of a line through *values* in a box of the given size, newest at the right edge, *ceiling* at the top. */
export function sparkline(values: readonly number[], ceiling: number, width: number, height: number): string {
  const step = width / (LENGTH - 1);
  const start = width - step * (values.length - 1);
  return values
    .map((value, index) => {
      const part = ceiling > 0 ? Math.min(1, Math.max(0, value / ceiling)) : 0;
      return `${round(start + index * step)},${round(height - part * height)}`;
    })
    .join(' ');
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
