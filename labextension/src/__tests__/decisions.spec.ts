import { nullTranslator } from '@jupyterlab/translation';
import type { Contents, Session } from '@jupyterlab/services';
import { describe, expect, it } from 'vitest';

import { describeConnection } from '../connection';
import * as containers from '../containers';
import * as environments from '../environments';
import { formatDuration, formatPercent, formatSize, shortDigest } from '../format';
import { addSample, LENGTH, sparkline } from '../history';
import * as images from '../images';
import { lineOf, stageOf } from '../log';
import { findSources, sourceKind } from '../sources';
import { CommandIDs, Labels } from '../tokens';
import { container, environment, image, sample } from './things';

const trans = nullTranslator.load('');

describe('figures', () => {
  it('have three digits and binary units, as the command line has them', () => {
    expect([0, 1023, 1024, 1536, 10 * 1024, 1023.6 * 1024, 1.21 * 1024 ** 3].map(formatSize)).toEqual([
      '0 B',
      '1023 B',
      '1.00 KiB',
      '1.50 KiB',
      '10.0 KiB',
      '1.00 MiB',
      '1.21 GiB'
    ]);
  });

  it('tell durations in their largest unit', () => {
    const told = [-1, 5.9, 60, 3599, 3600, 86399, 4 * 86400].map(seconds => formatDuration(seconds, trans));
    expect(told).toEqual(['0 s', '5 s', '1 min', '59 min', '1 h', '23 h', '4 d']);
  });

  it('are short', () => {
    expect([formatPercent(42.6), shortDigest('sha256:0123456789abcdef')]).toEqual(['43 %', '0123456789ab']);
  });
});

describe('an environment', () => {
  it.each([
    [{ state: 'ready' as const, containers: 2 }, 'ready · 200 MiB · 2 running'],
    [{ state: 'building' as const, phase: 'downloading', percent: 43.4 }, 'building · downloading · 43 %'],
    [{ state: 'building' as const, phase: 'brewing', percent: null }, 'building · brewing'],
    [{ state: 'not built' as const, image: null, size: null }, 'not built'],
    [{ state: 'out of date' as const }, 'out of date · 200 MiB']
  ])('is summed up: %j', (more, text) => {
    expect(environments.summary(environment(more), trans)).toBe(text);
  });

  it('offers what is wanted most', () => {
    const main = (state: 'ready' | 'building' | 'not built' | 'broken') =>
      environments.mainCommand(environment({ state }));
    expect([main('ready'), main('building'), main('not built'), main('broken')]).toEqual([
      CommandIDs.startNotebook,
      CommandIDs.showBuildLog,
      CommandIDs.build,
      CommandIDs.build
    ]);
  });

  it('offers what is possible', () => {
    const offered = (more: object) => environments.commandsFor(environment(more)).flat();
    expect(offered({ state: 'building' })).toContain(CommandIDs.cancelBuild);
    expect(offered({ state: 'building' })).not.toContain(CommandIDs.build);
    expect(offered({ state: 'not built', image: null })).not.toContain(CommandIDs.saveEnvironment);
    expect(offered({ spec_file: '' })).not.toContain(CommandIDs.editSpec);
    expect(offered({ build_id: null })).not.toContain(CommandIDs.showBuildLog);
  });

  it('is found by its kernelspec', () => {
    const known = new Map([['Physics-1', environment({ name: 'Physics-1' })]]);
    expect(environments.findByKernel(known, 'jc-physics-1')?.name).toBe('Physics-1');
    expect(environments.findByKernel(known, 'python3')).toBeUndefined();
  });
});

describe('a running container', () => {
  const kernel = container({ labels: { [Labels.kernel]: 'k1', [Labels.environment]: 'physics-1' } });
  const session = {
    id: 's',
    name: 'a.ipynb',
    path: 'week 1/a.ipynb',
    type: 'notebook',
    kernel: { id: 'k1', name: 'jc-physics-1' }
  } as Session.IModel;

  it('is the notebook that it serves', () => {
    const [found] = containers.describeRunning(new Map([[kernel.id, kernel]]), [session], trans);
    expect([found.title, found.caption, found.environment, found.session]).toEqual([
      'a.ipynb',
      'week 1/a.ipynb',
      'physics-1',
      session
    ]);
    expect(containers.summary(found, kernel.started_at! + 750, trans)).toBe('physics-1 · 12 min · kernel');
  });

  it('is its command where it serves none', () => {
    const command = container({ kind: 'command', argv: ['sleep', '60'] });
    const [found] = containers.describeRunning(new Map([[command.id, command]]), [session], trans);
    expect([found.title, found.session]).toEqual(['sleep 60', null]);
    expect(containers.commandsFor(found).flat()).not.toContain(CommandIDs.restartContainer);
  });

  it('is left out once it has ended, and newest come first', () => {
    const list = [
      container({ id: 'old', created_at: 1 }),
      container({ id: 'ended', status: 'exited' }),
      container({ id: 'new', created_at: 2 })
    ];
    const found = containers.describeRunning(new Map(list.map(item => [item.id, item])), [], trans);
    expect(found.map(item => item.container.id)).toEqual(['new', 'old']);
  });

  it('is measured against its limit', () => {
    expect(containers.memoryText(sample({ memory_limit: 1024 ** 3 }), trans)).toBe('100 MiB of 1.00 GiB');
    expect(containers.memoryText(sample(), trans)).toBe('100 MiB');
    expect(containers.ceiling([1, 8], null)).toBe(10);
    expect(containers.ceiling([1, 8], 100)).toBe(100);
    expect(
      containers.cpuLimit(container({ limits: [{ limit: 'cpus', asked: 1.5, enforced_by: '', note: '' }] }))
    ).toBe(150);
  });
});

describe('the history of a container', () => {
  it('keeps the last minutes, in order', () => {
    let history: readonly ReturnType<typeof sample>[] = [];
    for (let at = 0; at < LENGTH + 10; at++) {
      history = addSample(history, sample({ at }));
    }
    expect([history.length, history[0].at, history.at(-1)!.at]).toEqual([LENGTH, 10, LENGTH + 9]);
    expect(addSample(history, sample({ at: 5 }))).toBe(history);
  });

  it('is a line that ends at the right, in its box', () => {
    expect(sparkline([0, 50, 200], 100, 89, 10)).toBe('87,10 88,5 89,0');
    expect(sparkline([], 100, 89, 10)).toBe('');
    expect(sparkline([1], 0, 89, 10)).toBe('89,10');
  });
});

describe('images', () => {
  it('are known by their name, else by their digest', () => {
    expect([images.titleOf(image()), images.titleOf(image({ references: [] }))]).toEqual([
      'physics-1:latest',
      '0123456789ab'
    ]);
    expect(images.summary(image(), trans)).toBe('150 B · 2 layers · 50 B of its own');
  });

  it('take together what their layers take once', () => {
    const other = image({ layers: [image().layers[0], { diff_id: 'sha256:ccc', size: 7, created_by: '' }] });
    expect(images.totalSize([image(), other])).toBe(157);
  });
});

describe('a build event', () => {
  const line = (event: object) => lineOf({ kind: 'output', time: 0, ...event }, trans);

  it('is a line of the log, or none', () => {
    expect(line({ text: 'hello' })).toEqual({ kind: 'output', text: 'hello' });
    expect(line({ kind: 'step', step: 'apt', phase: 'installing' })).toEqual({ kind: 'step', text: 'apt' });
    expect(line({ kind: 'step', step: 'apt', cached: true })?.text).toContain('apt');
    expect(line({ kind: 'step', step: 'apt', phase: 'done' })).toBeNull();
    expect(line({ kind: 'progress', done: 1 })).toBeNull();
    expect(line({ kind: 'result', error: 'it failed', hint: 'do this' })).toEqual({
      kind: 'error',
      text: 'it failed\ndo this'
    });
    expect(line({ kind: 'result', image: 'sha256:1' })).toBeNull();
  });

  it('tells what is being done', () => {
    const stage = (event: object) => stageOf({ kind: 'progress', time: 0, ...event }, trans);
    expect(stage({ step: 'apt', done: 512, total: 1024, unit: 'bytes' })).toBe(
      'apt · 512 B of 1.00 KiB (50 %)'
    );
    expect(stage({ phase: 'unpacking', done: 3, unit: 'items' })).toBe('unpacking · 3');
    expect(stage({ kind: 'phase', phase: 'resolving' })).toBe('resolving versions');
    expect(stage({ kind: 'output', text: 'x' })).toBeNull();
  });
});

describe('sources of a draft', () => {
  it.each([
    ['a/b.ipynb', 'notebook'],
    ['requirements.txt', 'file'],
    ['requirements-dev.txt', 'file'],
    ['environment.yaml', 'file'],
    ['pyproject.toml', 'file'],
    ['Dockerfile', 'file'],
    ['web.Dockerfile', 'file'],
    ['pylock.x.toml', 'file'],
    ['readme.md', null],
    ['data.csv', null]
  ])('%s is %s', (path, kind) => {
    expect(sourceKind(path)).toBe(kind);
  });

  it('come with files first', () => {
    const items = ['z.ipynb', 'requirements.txt', 'a.csv'].map(path => ({
      path,
      type: 'file'
    })) as unknown as Contents.IModel[];
    expect(findSources(items).map(item => item.path)).toEqual(['requirements.txt', 'z.ipynb']);
  });
});

describe('a connection that is not live', () => {
  it('is told with a next step', () => {
    const told = (connection: Parameters<typeof describeConnection>[0]) =>
      describeConnection(connection, trans);
    expect(told({ state: 'live' })).toBeNull();
    expect(told({ state: 'absent' })?.hint).toContain('jupyter server extension list');
    expect(told({ state: 'incompatible', server: { version: '2', api: 2 } })?.hint).toContain('Reload');
    expect(told({ state: 'incompatible', server: { version: '0', api: 0 } })?.hint).toContain('Upgrade');
    expect(told({ state: 'refused', message: 'no', hint: '' })?.hint).toBeTruthy();
  });
});
