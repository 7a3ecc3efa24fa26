import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { BuildEndings } from '../endings';
import { ContainersModel } from '../model';
import type { IBuild, ISnapshot } from '../rest';
import { build, fakeApi, json } from './things';

const OLD = build({ id: 'old', state: 'failed', started_at: 100 });

describe('BuildEndings', () => {
  let model: ContainersModel;
  let endings: BuildEndings;
  let told: string[];

  function see(builds: IBuild[]): void {
    const snapshot: ISnapshot = { environments: [], containers: [], builds, images: [] };
    model.receive('snapshot', JSON.stringify(snapshot));
    vi.runAllTimers();
  }

  function turn(item: IBuild): void {
    model.receive('change', JSON.stringify({ kind: 'build', key: item.id, item }));
  }

  beforeEach(() => {
    vi.useFakeTimers();
    model = new ContainersModel(fakeApi(() => json({})).api);
    endings = new BuildEndings(model);
    told = [];
    model.itemChanged.connect((_, change) => {
      if (change.kind === 'build' && change.item && endings.hasEnded(change.item, change.before)) {
        told.push(change.item.id);
      }
    });
  });

  afterEach(() => {
    model.dispose();
    vi.useRealTimers();
  });

  it('tells of a build that was seen to run, once', () => {
    see([OLD, build({ id: 'new', started_at: 200 })]);
    turn(build({ id: 'new', started_at: 200, state: 'failed' }));
    turn(build({ id: 'new', started_at: 200, state: 'failed', hint: 'look again' }));
    expect(told).toEqual(['new']);
  });

  it('tells of a build that began and ended between two looks', () => {
    see([OLD]);
    turn(build({ id: 'quick', started_at: 200, state: 'failed' }));
    turn(build({ id: 'stopped', started_at: null, state: 'interrupted' }));
    expect(told).toEqual(['quick', 'stopped']);
  });

  it('does the same where there was no build before', () => {
    see([]);
    turn(build({ id: 'quick', started_at: 200, state: 'done' }));
    expect(told).toEqual(['quick']);
  });

  it('says nothing of what had ended before the page was there', () => {
    see([OLD]);
    turn(build({ id: 'older', started_at: 50, state: 'failed' })); // a newer one is gone, so this came into view
    turn(OLD);
    expect(told).toEqual([]);
  });

  it('tells of what has ended while the connection was lost', () => {
    see([OLD]);
    see([OLD, build({ id: 'meanwhile', started_at: 200, state: 'done' })]);
    expect(told).toEqual(['meanwhile']);
  });
});
