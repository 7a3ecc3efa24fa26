/** What the page knows of environments, builds, containers and images: one store, fed by the server's feed. */
import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Api, ApiError, asApiError } from './api';
import { checkVersion, Connection } from './connection';
import { addSample } from './history';
import type * as rest from './rest';

/** What changed: a kind of thing, `samples` (what containers use), or the `connection`. */
export type Topic = rest.FeedChange['kind'] | 'samples' | 'connection';

/** What the rest of the front end sees of the model. */
export interface IContainersModel {
  readonly api: Api;
  readonly connection: Connection;
  /** Whether the server has told of everything once: what is not in the maps then is not there. */
  readonly complete: boolean;
  readonly environments: ReadonlyMap<string, rest.IEnvironment>;
  readonly builds: ReadonlyMap<string, rest.IBuild>;
  readonly containers: ReadonlyMap<string, rest.IContainer>;
  readonly images: ReadonlyMap<string, rest.IImage>;
  readonly jobs: ReadonlyMap<string, rest.IJob>;
  /** The last minutes of each running container, oldest first. */
  readonly samples: ReadonlyMap<string, readonly rest.ISample[]>;
  /** Several changes in a row are told at once. */
  readonly changed: ISignal<IContainersModel, ReadonlySet<Topic>>;
  /** One thing, as it was and as it is; a snapshot that tells of a difference is told too, a first snapshot not. */
  readonly itemChanged: ISignal<IContainersModel, ItemChange>;
  /** A kernel of this server has ended without being asked to. */
  readonly died: ISignal<IContainersModel, rest.IDeath>;
  /**
   * Ask for one environment that the feed has not told of, or not of its last build: the server looks once a second.
   * Resolves to what is known where the server does not answer; what is done with it next tells of that.
   */
  fetch(name: string): Promise<rest.IEnvironment | undefined>;
  /** Stay connected, also while nobody sees the page, until what is returned is disposed of. */
  need(): IDisposable;
  /** Try again at once, where the connection is lost or was refused. */
  reconnect(): void;
}

export type ItemChange = {
  [K in keyof Kinds]: { kind: K; key: string; before: Kinds[K] | null; item: Kinds[K] | null };
}[keyof Kinds];

interface Kinds {
  environment: rest.IEnvironment;
  build: rest.IBuild;
  container: rest.IContainer;
  image: rest.IImage;
  job: rest.IJob;
}

/** Milliseconds within which changes are told together: a build tells of hundreds. */
const COALESCE = 50;

export class ContainersModel implements IContainersModel, IDisposable {
  readonly samples = new Map<string, readonly rest.ISample[]>();

  /** Nothing is asked before {@link start}. */
  constructor(readonly api: Api) {}

  get environments(): ReadonlyMap<string, rest.IEnvironment> {
    return this._things.environment;
  }
  get builds(): ReadonlyMap<string, rest.IBuild> {
    return this._things.build;
  }
  get containers(): ReadonlyMap<string, rest.IContainer> {
    return this._things.container;
  }
  get images(): ReadonlyMap<string, rest.IImage> {
    return this._things.image;
  }
  get jobs(): ReadonlyMap<string, rest.IJob> {
    return this._things.job;
  }
  get complete(): boolean {
    return this._seen;
  }
  get connection(): Connection {
    return this._connection;
  }
  get changed(): ISignal<this, ReadonlySet<Topic>> {
    return this._changed;
  }
  get itemChanged(): ISignal<this, ItemChange> {
    return this._itemChanged;
  }
  get died(): ISignal<this, rest.IDeath> {
    return this._died;
  }
  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Follow the feed, until {@link pause} or the end. */
  start(): void {
    if (this._abort === null && !this._disposed) {
      this._abort = new AbortController();
      void this._run(this._abort.signal);
    }
  }

  async fetch(name: string): Promise<rest.IEnvironment | undefined> {
    const item = await this.api.environment(name).catch(() => undefined);
    // Other states pass by, and the feed, which tells of differences, may not have seen them.
    if (item && (item.state === 'ready' || !this.environments.has(name))) {
      this._set('environment', name, item);
    }
    return this.environments.get(name);
  }

  need(): IDisposable {
    this._needs++;
    return new DisposableDelegate(() => void this._needs--);
  }

  /** Whether somebody {@link need}s what the feed tells. */
  get isNeeded(): boolean {
    return this._needs > 0;
  }

  /** Let the connection go and keep what is known; {@link start} brings it up to date. */
  pause(): void {
    this._abort?.abort();
    this._abort = null;
  }

  reconnect(): void {
    this.pause();
    this.start();
  }

  dispose(): void {
    this._disposed = true;
    this.pause();
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  /** Take in one event of the feed. */
  receive(type: string, data: string): void {
    if (type === 'snapshot') {
      this._replaceAll(JSON.parse(data) as rest.ISnapshot);
    } else if (type === 'change') {
      const change = JSON.parse(data) as rest.FeedChange;
      if (change.kind in this._things) {
        this._set(change.kind, change.key, change.item);
      }
    } else if (type === 'stats') {
      const { items } = JSON.parse(data) as { items: rest.ISample[] };
      for (const sample of items) {
        this.samples.set(sample.id, addSample(this.samples.get(sample.id) ?? [], sample));
      }
      this._mark('samples');
    } else if (type === 'death') {
      this._died.emit(JSON.parse(data) as rest.IDeath);
    }
  }

  private async _run(signal: AbortSignal): Promise<void> {
    try {
      const refusal = checkVersion(await this._version(signal));
      if (refusal) {
        this._setConnection(refusal);
        return;
      }
      const onState = (state: 'open' | 'lost', error?: ApiError) =>
        this._setConnection(
          state === 'open' ? { state: 'live' } : { state: 'lost', message: error?.message ?? '' }
        );
      for await (const event of this.api.feed({ signal, onState })) {
        this.receive(event.type, event.data);
      }
    } catch (error) {
      if (!signal.aborted) {
        this._setConnection(refused(asApiError(error)));
      }
    }
  }

  /** The server's version; where it does not answer, it is asked again until it does. */
  private async _version(signal: AbortSignal): Promise<rest.IVersion> {
    for (;;) {
      try {
        return await this.api.version();
      } catch (error) {
        const told = asApiError(error);
        if (signal.aborted || (told.status >= 400 && told.status < 500)) {
          throw told;
        }
        this._setConnection({ state: 'lost', message: told.message });
        await new Promise(resolve => setTimeout(resolve, 2000));
      }
    }
  }

  private _replaceAll(snapshot: rest.ISnapshot): void {
    const first = !this._seen;
    this._seen = true;
    this._replace('environment', new Map(snapshot.environments.map(item => [item.name, item])), first);
    this._replace('build', new Map(snapshot.builds.map(item => [item.id, item])), first);
    this._replace('container', new Map(snapshot.containers.map(item => [item.id, item])), first);
    this._replace('image', new Map(snapshot.images.map(item => [item.digest, item])), first);
    this._replace('job', new Map((snapshot.jobs ?? []).map(item => [item.id, item])), first);
  }

  private _replace<K extends keyof Kinds>(kind: K, items: Map<string, Kinds[K]>, quiet: boolean): void {
    const before = this._things[kind] as Map<string, Kinds[K]>;
    if (quiet) {
      items.forEach((item, key) => before.set(key, item));
      this._mark(kind);
      return;
    }
    for (const key of [...before.keys()].filter(known => !items.has(known))) {
      this._set(kind, key, null);
    }
    items.forEach((item, key) => {
      if (JSON.stringify(before.get(key)) !== JSON.stringify(item)) {
        this._set(kind, key, item);
      }
    });
  }

  private _set<K extends keyof Kinds>(kind: K, key: string, item: Kinds[K] | null): void {
    const things = this._things[kind] as Map<string, Kinds[K]>;
    const before = things.get(key) ?? null;
    if (item === null) {
      things.delete(key);
      if (kind === 'container') {
        this.samples.delete(key);
      }
    } else {
      things.set(key, item);
    }
    this._mark(kind);
    this._itemChanged.emit({ kind, key, before, item } as ItemChange);
  }

  private _setConnection(connection: Connection): void {
    this._connection = connection;
    this._mark('connection');
  }

  private _mark(topic: Topic): void {
    this._topics.add(topic);
    this._timer ??= setTimeout(() => {
      const topics = this._topics;
      this._topics = new Set();
      this._timer = undefined;
      this._changed.emit(topics);
    }, COALESCE);
  }

  private readonly _things: { [K in keyof Kinds]: Map<string, Kinds[K]> } = {
    environment: new Map(),
    build: new Map(),
    container: new Map(),
    image: new Map(),
    job: new Map()
  };
  private readonly _changed = new Signal<this, ReadonlySet<Topic>>(this);
  private readonly _itemChanged = new Signal<this, ItemChange>(this);
  private readonly _died = new Signal<this, rest.IDeath>(this);
  private _connection: Connection = { state: 'connecting' };
  private _topics = new Set<Topic>();
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _abort: AbortController | null = null;
  private _needs = 0;
  private _seen = false;
  private _disposed = false;
}

function refused(error: ApiError): Connection {
  return error.status === 404
    ? { state: 'absent' }
    : { state: 'refused', message: error.message, hint: error.hint };
}
