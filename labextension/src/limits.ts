/** Decisions about limits: what a notebook asks for, what is allowed, and how all of it is told. */
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyJSONObject } from '@lumino/coreutils';

import { formatSize } from './format';
import { IMetadataHolder, readOurs, writeOurs } from './metadata';
import type { ILimits, ILimitsChoice } from './rest';

export type LimitName = keyof ILimitsChoice;
export const LIMIT_NAMES = ['memory', 'cpus', 'pids', 'gpus', 'network'] as const;

const UNITS: { readonly [unit: string]: number } = {
  '': 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4
};

/** Bytes of `2G`, `512 MiB`, or of a number; null: it is none of them. As spec/sizes.py reads them. */
export function parseSize(value: unknown): number | null {
  if (typeof value === 'number') {
    return Number.isFinite(value) && value > 0 ? Math.floor(value) : null;
  }
  const match = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*$/i.exec(value) : null;
  const bytes = match ? Math.floor(Number(match[1]) * UNITS[match[2].toUpperCase()]) : 0;
  return bytes > 0 ? bytes : null;
}

/** Bytes with the largest unit that says them exactly: `1536M`. */
export function writeSize(bytes: number): string {
  const unit = ['T', 'G', 'M', 'K'].find(each => bytes % UNITS[each] === 0) ?? '';
  return `${bytes / UNITS[unit]}${unit}`;
}

/** The limits in *value*, which may be a stranger's: what is not well formed is left out. Memory is in bytes. */
export function cleanLimits(value: unknown): ILimitsChoice {
  const given = (typeof value === 'object' && value !== null ? value : {}) as { [name: string]: unknown };
  const limits: ILimitsChoice = {};
  const memory = parseSize(given.memory);
  if (memory !== null) {
    limits.memory = memory;
  }
  for (const name of ['cpus', 'pids', 'gpus'] as const) {
    const number = given[name];
    if (
      typeof number === 'number' &&
      Number.isFinite(number) &&
      (name === 'gpus' ? number >= 0 : number > 0)
    ) {
      limits[name] = name === 'cpus' ? number : Math.floor(number);
    }
  }
  if (given.network === 'none' || given.network === 'full') {
    limits.network = given.network;
  }
  return limits;
}

/** What a notebook asks for; empty: what its environment has. */
export function readLimits(model: IMetadataHolder): ILimitsChoice {
  return cleanLimits(readOurs(model).limits);
}

/** Remember *limits* in the notebook, memory as people write it. Limits that are not chosen here stay. */
export function writeLimits(model: IMetadataHolder, limits: ILimitsChoice): void {
  const { memory, ...others } = limits;
  const before = readOurs(model).limits;
  const kept = Object.entries(typeof before === 'object' && before !== null ? before : {}).filter(
    ([name]) => !(LIMIT_NAMES as readonly string[]).includes(name)
  );
  const written = {
    ...Object.fromEntries(kept),
    ...(typeof memory === 'number' ? { memory: writeSize(memory) } : {}),
    ...others
  } as ReadonlyJSONObject;
  writeOurs(model, { limits: Object.keys(written).length > 0 ? written : null });
}

export function isEmpty(limits: ILimitsChoice): boolean {
  return LIMIT_NAMES.every(name => (limits[name] ?? null) === null);
}

export function sameLimits(one: ILimitsChoice, other: ILimitsChoice): boolean {
  return LIMIT_NAMES.every(name => (one[name] ?? null) === (other[name] ?? null));
}

/** One limit that a notebook asks for beyond what its environment has. */
export interface IExcess {
  name: LimitName;
  asked: number | string;
  /** What the environment has; null: none. */
  own: number | string | null;
}

/**
 * Where *asked* goes beyond *own*, what kernels of the environment have by themselves. No limit there is as much as they
 * like, but for GPUs: of these it is none.
 */
export function findExcess(asked: ILimitsChoice, own: ILimitsChoice): IExcess[] {
  const found: IExcess[] = [];
  for (const name of ['memory', 'cpus', 'pids', 'gpus'] as const) {
    const wanted = (asked[name] as number | null | undefined) ?? null;
    const has = name === 'memory' ? parseSize(own.memory) : (own[name] ?? null);
    if (wanted !== null && (name === 'gpus' ? wanted > (has ?? 0) : has !== null && wanted > has)) {
      found.push({ name, asked: wanted, own: has });
    }
  }
  if (asked.network === 'full' && own.network !== 'full') {
    found.push({ name: 'network', asked: 'full', own: own.network ?? 'none' });
  }
  return found;
}

/** *limits* as far as the administrator allows them. */
export function withinMaximum(limits: ILimitsChoice, maximum: ILimits['maximum']): ILimitsChoice {
  const within: ILimitsChoice = { ...limits };
  for (const name of ['memory', 'cpus', 'pids', 'gpus'] as const) {
    const most = maximum[name];
    const wanted = within[name] ?? null;
    if (wanted !== null && most !== null && (wanted as number) > most) {
      within[name] = most;
    }
  }
  if (within.network === 'full' && maximum.network === 'none') {
    within.network = 'none';
  }
  return within;
}

export function limitLabel(name: LimitName, trans: TranslationBundle): string {
  switch (name) {
    case 'memory':
      return trans.__('Memory');
    case 'cpus':
      return trans.__('CPUs');
    case 'pids':
      return trans.__('Processes');
    case 'gpus':
      return trans.__('GPUs');
    case 'network':
      return trans.__('Network');
  }
}

/** A limit's value for people. */
export function limitText(name: LimitName, value: unknown, trans: TranslationBundle): string {
  if (name === 'network') {
    return value === 'full' ? trans.__('what this host reaches') : trans.__('none');
  }
  if (value === null || value === undefined) {
    return name === 'gpus' ? trans.__('none') : trans.__('no limit');
  }
  const bytes = name === 'memory' ? parseSize(value) : null;
  return bytes !== null ? formatSize(bytes) : `${value as number}`;
}

/** `Memory: 8 GiB, where the environment has 2 GiB` */
export function excessText(excess: IExcess, trans: TranslationBundle): string {
  return trans.__(
    '%1: %2, where the environment has %3',
    limitLabel(excess.name, trans),
    limitText(excess.name, excess.asked, trans),
    limitText(excess.name, excess.own, trans)
  );
}
