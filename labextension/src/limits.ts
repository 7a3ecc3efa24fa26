/** Decisions about limits: what a notebook asks for, what is allowed, and how all of it is told. */
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyJSONObject } from '@lumino/coreutils';

import { formatSize } from './format';
import { IMetadataHolder, readOurs, writeOurs } from './metadata';
import type { ILimit, ILimits, ILimitsChoice, ILiveLimits } from './rest';

export type LimitName = keyof ILimitsChoice;
export const LIMIT_NAMES = ['memory', 'cpus', 'pids', 'gpus', 'network', 'files', 'time'] as const;
/** Those that are numbers. */
const NUMBERS = ['memory', 'cpus', 'pids', 'gpus', 'files', 'time'] as const;
/** Those that can be changed while a kernel runs. */
const LIVE = ['memory', 'cpus', 'pids'] as const;

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

const DURATIONS: readonly (readonly [unit: string, seconds: number])[] = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1]
];

/** Seconds of `2h`, `1.5 d`, or of a number; null: it is none of them. As spec/durations.py reads them. */
export function parseDuration(value: unknown): number | null {
  if (typeof value === 'number') {
    return Number.isFinite(value) && value > 0 ? Math.round(value) : null;
  }
  const match = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*$/i.exec(value) : null;
  const unit = match ? match[2].toLowerCase() || 's' : '';
  const seconds = match ? Math.round(Number(match[1]) * new Map(DURATIONS).get(unit)!) : 0;
  return seconds > 0 ? seconds : null;
}

/** Seconds with the largest unit that says them exactly: `90m`. */
export function writeDuration(seconds: number): string {
  const [unit, size] = DURATIONS.find(([, each]) => seconds % each === 0)!;
  return `${seconds / size}${unit}`;
}

/** The limits in *value*, which may be a stranger's: what is not well formed is left out. Memory in bytes, time in seconds. */
export function cleanLimits(value: unknown): ILimitsChoice {
  const given = (typeof value === 'object' && value !== null ? value : {}) as { [name: string]: unknown };
  const limits: ILimitsChoice = {};
  const memory = parseSize(given.memory);
  if (memory !== null) {
    limits.memory = memory;
  }
  const time = parseDuration(given.time);
  if (time !== null) {
    limits.time = time;
  }
  for (const name of ['cpus', 'pids', 'gpus', 'files'] as const) {
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

/** Remember *limits* in the notebook, memory and time as people write them. What is none of ours stays. */
export function writeLimits(model: IMetadataHolder, limits: ILimitsChoice): void {
  const { memory, time, ...others } = limits;
  const before = readOurs(model).limits;
  const kept = Object.entries(typeof before === 'object' && before !== null ? before : {}).filter(
    ([name]) => !(LIMIT_NAMES as readonly string[]).includes(name)
  );
  const written = {
    ...Object.fromEntries(kept),
    ...(typeof memory === 'number' ? { memory: writeSize(memory) } : {}),
    ...(typeof time === 'number' ? { time: writeDuration(time) } : {}),
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
  for (const name of NUMBERS) {
    const wanted = numberOf(name, asked);
    const has = numberOf(name, own);
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
  for (const name of NUMBERS) {
    const most = maximum[name] ?? null;
    const wanted = numberOf(name, within);
    if (wanted !== null && most !== null && wanted > most) {
      within[name] = most;
    }
  }
  if (within.network === 'full' && maximum.network === 'none') {
    within.network = 'none';
  }
  return within;
}

/** A limit as a number: bytes, seconds, or how many; null: none. */
function numberOf(name: (typeof NUMBERS)[number], limits: ILimitsChoice): number | null {
  const value = limits[name] ?? null;
  return name === 'memory'
    ? parseSize(value)
    : name === 'time'
      ? parseDuration(value)
      : (value as number | null);
}

/** What kernels have of each limit with *choice*, where their environment has *own*. */
export function settled(choice: ILimitsChoice, own: ILimitsChoice): ILimitsChoice {
  const chosen = Object.entries(choice).filter(([, value]) => value !== null && value !== undefined);
  return { ...own, ...(Object.fromEntries(chosen) as ILimitsChoice) };
}

/** How limits get to a kernel that runs. */
export interface IPlan {
  /** What it can be given as it runs. */
  live: ILiveLimits;
  /** What it has only once it is started anew. */
  later: LimitName[];
}

/**
 * What has to be done for a kernel that runs to have the limits *after*, chosen in place of *before*. *has*: what its container
 * says of its limits; of its network it says nothing.
 */
export function planChange(
  before: ILimitsChoice,
  after: ILimitsChoice,
  own: ILimitsChoice,
  has: readonly ILimit[] | null
): IPlan {
  const was = settled(before, own);
  const wanted = settled(after, own);
  const plan: IPlan = { live: {}, later: [] };
  for (const name of NUMBERS) {
    const now = has ? (has.find(item => item.limit === name)?.asked ?? null) : numberOf(name, was);
    const next = numberOf(name, wanted);
    if ((now ?? 0) === (next ?? 0)) {
      continue; // no limit is null; no GPUs are null, or 0
    }
    const live = LIVE.find(each => each === name);
    if (live && next !== null) {
      plan.live[live] = next;
    } else {
      plan.later.push(name);
    }
  }
  if ((was.network ?? 'none') !== (wanted.network ?? 'none')) {
    plan.later.push('network');
  }
  return plan;
}

/** Why a kernel has a limit only once it is started anew. */
export function laterText(name: LimitName, wanted: unknown, trans: TranslationBundle): string {
  switch (name) {
    case 'network':
      return trans.__('a kernel’s network is made when it starts');
    case 'gpus':
      return trans.__('a kernel gets its devices when it starts');
    case 'files':
      return trans.__('a process keeps the number that it was started with');
    case 'time':
      return trans.__('its time is counted from its start');
    default:
      return wanted === null
        ? trans.__('a limit can be moved while it runs, and not be taken away')
        : trans.__('it can’t be changed while it runs');
  }
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
    case 'files':
      return trans.__('Open files');
    case 'time':
      return trans.__('Time');
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
  const seconds = name === 'time' ? parseDuration(value) : null;
  return bytes !== null
    ? formatSize(bytes)
    : seconds !== null
      ? writeDuration(seconds)
      : `${value as number}`;
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
