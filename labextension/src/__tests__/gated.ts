/** A notebook's session, and the gate before it, for the tests of both. */
import type { ISessionContext } from '@jupyterlab/apputils';
import { Signal } from '@lumino/signaling';
import { vi } from 'vitest';

import { KernelGate } from '../gate';
import { ContainersModel } from '../model';
import type { IEnvironment } from '../rest';
import { build, environment, fakeApi, json, pathOf } from './things';

export const UNBUILT = environment({
  name: 'new',
  display_name: '',
  state: 'not built',
  image: null,
  build_id: null
});

/** As much of a session context as the gate stands in front of. */
export class FakeContext {
  session: { kernel: { name: string } | null } | null = null;
  isReady = false;
  isDisposed = false;
  kernelPreference: { name: string; id?: string } = { name: 'jc-new' };
  metadata = {};
  specsManager = {
    specs: {
      default: '',
      kernelspecs: { 'jc-new': { name: 'jc-new', metadata: this.metadata }, python3: {} } as {
        [name: string]: object;
      }
    },
    refreshSpecs: () => Promise.resolve()
  };
  restarts = 0;
  sessionManager = { running: () => [] };
  disposed = new Signal<object, void>({});
  started: string[] = [];
  refusal: Error | null = null;
  /** What else happens as a kernel comes. */
  onKernel = () => {};
  get hasNoKernel(): boolean {
    return this.session === null;
  }
  startKernel(): Promise<boolean> {
    return this.changeKernel({ name: this.kernelPreference.name }).then(() => false);
  }
  changeKernel(options: { name?: string } = {}): Promise<unknown> {
    if (this.refusal) {
      return Promise.reject(this.refusal);
    }
    this.started.push(options.name!);
    this.session = { kernel: { name: options.name! } };
    this.onKernel();
    return Promise.resolve(this.session.kernel);
  }
  restartKernel(): Promise<void> {
    this.restarts++;
    return Promise.resolve();
  }
  shutdown(): Promise<void> {
    this.session = null;
    return Promise.resolve();
  }
}

export function setUp(
  item: IEnvironment,
  options: { agrees?: boolean; chosen?: boolean; held?: Promise<void> } = {}
) {
  const now = new Map([[item.name, item]]);
  const { api, requests } = fakeApi(request => {
    const path = pathOf(request);
    if (path === 'builds') {
      return json(build({ id: 'b1', environment: item.name, state: 'queued' }), 202);
    }
    const known = now.get(path.replace('environments/', ''));
    return known ? json(known) : json({ message: 'there is none', hint: '', problems: [], output: '' }, 404);
  });
  const model = new ContainersModel(api);
  const tell = (kind: string, key: string, thing: unknown) =>
    model.receive('change', JSON.stringify({ kind, key, item: thing }));
  model.receive('snapshot', JSON.stringify({ environments: [item], containers: [], builds: [], images: [] }));
  const context = new FakeContext();
  let chosen = options.chosen ?? false;
  const agree = vi.fn(() => Promise.resolve(options.agrees ?? false));
  const gate = new KernelGate({
    context: context as unknown as ISessionContext,
    model,
    agree,
    asksAlways: () => false,
    onBuild: vi.fn(),
    isChosen: () => {
      const was = chosen;
      chosen = false;
      return was;
    },
    hold: () => options.held ?? null
  });
  const bodies = () =>
    Promise.all(
      requests
        .filter(request => request.method === 'POST')
        .map(request => request.clone().json() as Promise<object>)
    );
  const builds = (state: 'running' | 'done' | 'failed', more = {}) =>
    tell('build', 'b1', build({ id: 'b1', environment: item.name, state, ...more }));
  return { agree, bodies, builds, context, gate, model, now, tell };
}

export const phase = (gate: KernelGate) => gate.wait?.phase;
