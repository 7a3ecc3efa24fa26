import { nullTranslator } from '@jupyterlab/translation';
import { describe, expect, it } from 'vitest';

import {
  cleanLimits,
  excessText,
  findExcess,
  isEmpty,
  laterText,
  parseDuration,
  parseSize,
  planChange,
  readLimits,
  sameLimits,
  withinMaximum,
  writeDuration,
  writeLimits,
  writeSize
} from '../limits';
import { METADATA } from '../metadata';
import { readSettings } from '../settings';
import { draftOf, limitsOf } from '../widgets/limitsform';
import { allowed, notebook } from './things';

const GIB = 1024 ** 3;
const trans = nullTranslator.load('');

describe('sizes', () => {
  it('are read as the specs are', () => {
    expect(['2G', '512 MiB', '1.5gb', '100', 4096].map(parseSize)).toEqual([
      2 * GIB,
      512 * 1024 ** 2,
      1.5 * GIB,
      100,
      4096
    ]);
    expect(['lots', '', '-1', 0, -5, NaN, null, {}, '0'].map(parseSize)).toEqual(Array(9).fill(null));
  });

  it('are written exactly', () => {
    expect([2 * GIB, 1.5 * GIB, 1000].map(writeSize)).toEqual(['2G', '1536M', '1000']);
  });
});

describe('limits of a notebook', () => {
  it('are what is well formed of what anybody wrote there', () => {
    const written = { memory: '2G', cpus: 'all', pids: 0, gpus: 1.5, network: 'full', other: 1 };
    expect(cleanLimits(written)).toEqual({ memory: 2 * GIB, gpus: 1, network: 'full' });
    expect([null, 'x', [], 3].map(cleanLimits)).toEqual([{}, {}, {}, {}]);
  });

  it('stand beside what else is kept in the notebook', () => {
    const model = notebook({ [METADATA]: { digest: 'sha256:1', limits: { later: 64 } } });
    writeLimits(model, { memory: 1.5 * GIB, cpus: 2, time: 5400 });
    expect(model.getMetadata(METADATA)).toEqual({
      digest: 'sha256:1',
      limits: { later: 64, memory: '1536M', cpus: 2, time: '90m' }
    });
    expect(readLimits(model)).toEqual({ memory: 1.5 * GIB, cpus: 2, time: 5400 });
    writeLimits(model, {});
    expect(model.getMetadata(METADATA)).toEqual({ digest: 'sha256:1', limits: { later: 64 } });
  });

  it('leave nothing behind, and touch no notebook that has none', () => {
    const model = notebook({});
    writeLimits(model, {});
    expect(model.writes).toBe(0);
    writeLimits(model, { gpus: 0 });
    writeLimits(model, {});
    expect(model.getMetadata(METADATA)).toBeUndefined();
  });

  it('are empty, or the same', () => {
    expect(isEmpty({ memory: null })).toBe(true);
    expect(isEmpty({ gpus: 0 })).toBe(false);
    expect(sameLimits({ memory: 1, cpus: null }, { memory: 1 })).toBe(true);
    expect(sameLimits({ memory: 1 }, { memory: 2 })).toBe(false);
  });
});

describe('what a notebook asks for beyond its environment', () => {
  it('is more of what is limited, GPUs where there are none, and a network', () => {
    const own = { memory: '2G', cpus: null, pids: 100, gpus: null, network: 'none' } as const;
    const asked = { memory: 8 * GIB, cpus: 64, pids: 50, gpus: 1, network: 'full' } as const;
    const excess = findExcess(asked, own);
    expect(excess.map(item => item.name)).toEqual(['memory', 'gpus', 'network']);
    expect(excess.map(item => excessText(item, trans))).toEqual([
      'Memory: 8.00 GiB, where the environment has 2.00 GiB',
      'GPUs: 1, where the environment has none',
      'Network: what this host reaches, where the environment has none'
    ]);
  });

  it('is nothing where it asks for less, or for no GPU', () => {
    expect(
      findExcess({ memory: GIB, gpus: 0, network: 'none' }, { memory: 2 * GIB, network: 'full' })
    ).toEqual([]);
  });

  it('is never more than the administrator allows', () => {
    const { maximum } = allowed({ memory: GIB, gpus: 0, network: 'none' });
    expect(withinMaximum({ memory: 8 * GIB, cpus: 3, gpus: 2, network: 'full' }, maximum)).toEqual({
      memory: GIB,
      cpus: 3,
      gpus: 0,
      network: 'none'
    });
  });
});

describe('the fields of limits', () => {
  it('hold what the notebook has, and give it back', () => {
    const limits = {
      memory: 1.5 * GIB,
      cpus: 0.5,
      gpus: 0,
      network: 'none',
      pids: 64,
      files: 256,
      time: 5400
    } as const;
    const draft = draftOf(limits);
    expect(draft).toEqual({
      memory: '1536',
      unit: 'MiB',
      cpus: '0.5',
      gpus: '0',
      network: 'none',
      pids: '64',
      files: '256',
      time: '90',
      timeUnit: 'min'
    });
    expect(limitsOf(draft, allowed())).toEqual(limits);
  });

  it('give what is no number as nothing, and what is too much as the most', () => {
    const draft = { ...draftOf({}), memory: '100', cpus: '-1', gpus: ' ', pids: '0', time: '20' };
    expect(limitsOf(draft, allowed({ memory: 4 * GIB, time: 3600 }))).toEqual({
      memory: 4 * GIB,
      time: 3600
    });
  });
});

describe('a change for a kernel that runs', () => {
  const own = { memory: 2 * GIB, cpus: null, pids: 100, gpus: null, network: 'none' } as const;
  const has = [
    { limit: 'memory', asked: 2 * GIB, enforced_by: 'cgroup v2', note: '' },
    { limit: 'pids', asked: 100, enforced_by: 'rlimit', note: '' }
  ];

  it('is made while it does, as far as that can be', () => {
    const wanted = { memory: GIB, cpus: 1.5, gpus: 1, network: 'full', files: 64, time: 60 } as const;
    expect(planChange({}, wanted, own, has)).toEqual({
      live: { memory: GIB, cpus: 1.5 },
      later: ['gpus', 'files', 'time', 'network']
    });
  });

  it('goes by what its container has, else by what was chosen before', () => {
    const before = { memory: GIB } as const;
    expect(planChange(before, before, own, has)).toEqual({ live: { memory: GIB }, later: [] });
    expect(planChange(before, before, own, null)).toEqual({ live: {}, later: [] });
    expect(planChange(before, {}, own, null)).toEqual({ live: { memory: 2 * GIB }, later: [] });
  });

  it('can’t take a limit away', () => {
    const cpus = { limit: 'cpus', asked: 1, enforced_by: 'cgroup v2', note: '' };
    const plan = planChange({ cpus: 1 }, {}, own, [...has, cpus]);
    expect(plan).toEqual({ live: {}, later: ['cpus'] });
    expect(laterText('cpus', null, trans)).toContain('can be moved while it runs, and not be taken away');
  });
});

describe('durations', () => {
  it('are read as the specs are, and written exactly', () => {
    const texts = ['2h', '1.5 d', '90', '30M', 60];
    expect(texts.map(parseDuration)).toEqual([7200, 129_600, 90, 1800, 60]);
    expect(['soon', '', 0, '0h', -1, null].map(parseDuration)).toEqual(Array(6).fill(null));
    expect([7200, 5400, 61].map(writeDuration)).toEqual(['2h', '90m', '61s']);
  });
});

describe('settings', () => {
  it('are as by default where they are missing, or of another kind', () => {
    const values = readSettings({
      statusBar: false,
      wrapLogs: 'no',
      defaultLimits: { memory: '1G', cpus: 'x' }
    });
    expect(values).toMatchObject({ statusBar: false, wrapLogs: true, defaultLimits: { memory: GIB } });
    expect(values.defaultLimits).toEqual({ memory: GIB });
  });
});
