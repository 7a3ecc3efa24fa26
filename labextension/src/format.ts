/** Figures for people. */
import type { TranslationBundle } from '@jupyterlab/translation';

/** *bytes* in three digits, in binary units as the command line has them: `1.21 GiB`, `34.0 MiB`, `512 B`. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) {
    return `${bytes} B`;
  }
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export function formatPercent(percent: number): string {
  return `${Math.round(percent)} %`;
}

/** A duration in its largest unit: `5 s`, `12 min`, `3 h`, `4 d`. */
export function formatDuration(seconds: number, trans: TranslationBundle): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole >= 86400) {
    return trans.__('%1 d', Math.floor(whole / 86400));
  }
  if (whole >= 3600) {
    return trans.__('%1 h', Math.floor(whole / 3600));
  }
  return whole >= 60 ? trans.__('%1 min', Math.floor(whole / 60)) : trans.__('%1 s', whole);
}

/** `sha256:0123456789ab…` as people know it: the first twelve digits. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}
