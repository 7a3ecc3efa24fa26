/** The REST interface of the server extension. This file alone speaks HTTP. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type * as rest from './rest';
import type { ISchema } from './schema';
import { backoff, EventParser, ISentEvent } from './sse';

/** Milliseconds of silence after which a stream is taken for dead. The server breaks its silence every 15 s. */
const SILENCE = 45_000;

/** An answer that tells what is wrong, and, where the server knows it, what to do. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0: no answer. */
    readonly status: number,
    readonly reply: rest.IErrorReply
  ) {
    super(reply.message);
    this.name = 'ApiError';
  }

  get hint(): string {
    return this.reply.hint;
  }
}

/** How a stream stands, for those who show it. */
export type StreamState = 'open' | 'lost';

export interface IFollowOptions {
  signal: AbortSignal;
  /** Told when the connection opens, and when it is lost and will be tried again. */
  onState?: (state: StreamState, error?: ApiError) => void;
  /** Go on after this event. */
  lastEventId?: string;
}

/** What a spec is drafted from: paths are relative to the server's root folder. */
export type DraftSource = Partial<Record<'notebook' | 'folder' | 'file' | 'image' | 'name', string>>;

type Query = { [name: string]: string };

export class Api {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  version = (): Promise<rest.IVersion> => this._get('version');
  schema = (): Promise<ISchema> => this._get('schema');
  diagnosis = (archives: boolean): Promise<rest.IDiagnosis> =>
    this._get('doctor', archives ? { archives: 'true' } : {});

  // Environments and their specs
  environment = (name: string): Promise<rest.IEnvironment> => this._get(of('environments', name));
  createFromPath = (path: string): Promise<rest.IEnvironment> => this._send('POST', 'environments', { path });
  createFromText = (text: string, folder?: string): Promise<rest.IEnvironment> =>
    this._send('POST', 'environments', folder === undefined ? { text } : { text, folder });
  forget = (name: string, image: boolean): Promise<void> =>
    this._send('DELETE', of('environments', name), undefined, image ? { image: 'true' } : {});
  spec = (name: string): Promise<rest.ISpecFile> => this._get(of('environments', name, 'spec'));
  writeSpec = (name: string, text: string, version: string): Promise<rest.ISpecFile> =>
    this._send('PUT', of('environments', name, 'spec'), { text, version });
  lockDiff = (name: string): Promise<rest.ILockDiff> => this._get(of('environments', name, 'lock'));
  push = (name: string, target: string): Promise<rest.IJob> =>
    this._send('POST', of('environments', name, 'push'), { target });
  archiveUrl = (name: string): string => this._url(of('environments', name, 'archive'));
  checkSpec = (text: string, folder?: string): Promise<rest.ISpecCheck> =>
    this._send('POST', 'specs/check', folder === undefined ? { text } : { text, folder });
  editSpec = (text: string, changes: rest.ISpecEdit[]): Promise<{ text: string }> =>
    this._send('POST', 'specs/edit', { text, changes });
  draftSpec = (from: DraftSource): Promise<rest.ISpecDraft> => this._send('POST', 'specs/draft', from);
  packageVersions = (name: string): Promise<rest.IPackageVersions> => this._get(of('packages', name));
  /** Fetch the index's list of names (tens of megabytes), so that searches find all of it. */
  fetchPackageNames = (): Promise<rest.IJob> => this._send('POST', 'packages/names', {});
  searchPackages = (query: string): Promise<rest.IPackageSearch> => this._get('packages', { query });

  /** Add requirements, such as `polars>=1`, and put them into a running container at once where one is given. */
  addPackages = (name: string, packages: readonly string[], container?: string): Promise<rest.IJob> =>
    this._send('POST', of('environments', name, 'packages'), { packages, container: container ?? null });
  removePackage = (name: string, pkg: string): Promise<rest.IJob> =>
    this._send('DELETE', of('environments', name, 'packages', encodeURIComponent(pkg)));

  // Notebooks that carry their environment: the value of their metadata's key
  carry = (environment: string): Promise<{ metadata: rest.ICarried }> =>
    this._send('POST', 'notebooks/carry', { environment });
  checkNotebook = (metadata: unknown): Promise<rest.IChecked> =>
    this._send('POST', 'notebooks/check', { metadata: metadata ?? null });
  /** Only once the user has seen what {@link checkNotebook} tells, and has agreed. */
  openNotebook = (metadata: unknown): Promise<rest.IJob> =>
    this._send('POST', 'notebooks/open', { metadata, trust: true });

  // Builds
  build = (
    environment: string,
    options: { upgrade?: boolean; no_cache?: boolean; automatic?: boolean } = {}
  ): Promise<rest.IBuild> => this._send('POST', 'builds', { environment, ...options });
  findBuild = (id: string): Promise<rest.IBuild> => this._get(of('builds', id));
  cancelBuild = (id: string): Promise<rest.IBuild> => this._send('DELETE', of('builds', id));
  followBuild = (id: string, options: IFollowOptions): AsyncGenerator<ISentEvent> =>
    this.follow(of('builds', id, 'events'), options);

  // Limits
  /** Those of kernels of *environment*; with *notebook*, its path, what was agreed to for that. */
  limits = (environment: string, notebook?: string): Promise<rest.ILimits> =>
    this._get('limits', notebook === undefined ? { environment } : { environment, notebook });
  /** Let the next kernels of a notebook have *limits*; null: what their environment has. */
  chooseLimits = (path: string, limits: rest.ILimitsChoice | null): Promise<void> =>
    this._send('POST', 'notebooks/limits', { path, limits });

  // Containers
  containers = (): Promise<rest.IContainer[]> => this._get('containers');
  stop = (id: string): Promise<rest.IContainer> => this._send('POST', of('containers', id, 'stop'), {});
  /** Other limits from now on; it goes on running. */
  changeLimits = (id: string, limits: rest.ILiveLimits): Promise<rest.IContainer> =>
    this._send('PATCH', of('containers', id), limits);
  findContainer = (id: string): Promise<rest.IContainer> => this._get(of('containers', id));
  followContainer = (id: string, options: IFollowOptions): AsyncGenerator<ISentEvent> =>
    this.follow(of('containers', id, 'log', 'events'), options);
  commit = (id: string, name: string): Promise<rest.IJob> =>
    this._send('POST', of('containers', id, 'commit'), { name });
  openTerminal = (id: string): Promise<{ name: string }> =>
    this._send('POST', of('containers', id, 'terminal'), {});

  logUrl = (kind: 'build' | 'container', id: string): string => this._url(of(`${kind}s`, id, 'log'));

  // Images
  history = (reference: string): Promise<rest.IHistoryEntry[]> =>
    this._get(of('images', reference, 'history'));
  removeImage = (reference: string): Promise<void> => this._send('DELETE', of('images', reference));
  pull = (reference: string): Promise<rest.IJob> => this._send('POST', 'images/pull', { reference });
  prune = (dryRun: boolean): Promise<rest.IPruned> => this._send('POST', 'prune', { dry_run: dryRun });
  load = (archive: Blob): Promise<rest.IJob> =>
    this._request('images/load', {
      method: 'POST',
      body: archive,
      headers: { 'Content-Type': 'application/x-tar' }
    });

  // The feed
  feed = (options: IFollowOptions): AsyncGenerator<ISentEvent> => this.follow('feed', options);
  jobs = (): Promise<rest.IJob[]> => this._get('jobs');
  cancelJob = (id: string): Promise<rest.IJob> => this._send('DELETE', of('jobs', id));

  /**
   * The events of a stream. A connection that breaks is made again, after a pause that grows, from the last event on;
   * the generator ends when *signal* says so. A status of 400 or more that waiting does not mend is thrown.
   */
  async *follow(path: string, options: IFollowOptions): AsyncGenerator<ISentEvent> {
    const { signal, onState } = options;
    let lastId = options.lastEventId ?? '';
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        for await (const event of this._stream(path, lastId, signal, () => onState?.('open'))) {
          attempt = 0;
          lastId = event.id || lastId;
          yield event;
        }
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        const told = asApiError(error);
        if (told.status >= 400 && told.status < 500 && told.status !== 429) {
          throw told;
        }
        onState?.('lost', told);
      }
      await pause(backoff(attempt), signal);
    }
  }

  private async *_stream(
    path: string,
    lastId: string,
    outer: AbortSignal,
    opened: () => void
  ): AsyncGenerator<ISentEvent> {
    const abort = new AbortController();
    const cancel = () => abort.abort();
    outer.addEventListener('abort', cancel);
    let silence = setTimeout(cancel, SILENCE);
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (lastId) {
        headers['Last-Event-ID'] = lastId;
      }
      const response = await this._fetch(path, { headers, signal: abort.signal });
      opened();
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) {
          return;
        }
        clearTimeout(silence);
        silence = setTimeout(cancel, SILENCE);
        yield* parser.push(value);
      }
    } finally {
      clearTimeout(silence);
      outer.removeEventListener('abort', cancel);
      abort.abort(); // who stops listening lets the connection go: a browser has six of them for all its tabs
    }
  }

  private _get<T>(path: string, query: Query = {}): Promise<T> {
    return this._request(path, {}, query);
  }

  private _send<T>(method: string, path: string, body?: object, query: Query = {}): Promise<T> {
    return this._request(
      path,
      body === undefined ? { method } : { method, body: JSON.stringify(body) },
      query
    );
  }

  private async _request<T>(path: string, init: RequestInit, query: Query = {}): Promise<T> {
    const response = await this._fetch(path, init, query);
    const text = await response.text();
    return (text ? JSON.parse(text) : undefined) as T;
  }

  private async _fetch(path: string, init: RequestInit, query: Query = {}): Promise<Response> {
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(this._url(path, query), init, this._settings);
    } catch (error) {
      throw asApiError(error);
    }
    if (!response.ok) {
      throw new ApiError(response.status, readError(response, await response.text()));
    }
    return response;
  }

  private _url(path: string, query: Query = {}): string {
    const url = URLExt.join(this._settings.baseUrl, 'jupyter-containers', 'api', path);
    return url + (Object.keys(query).length > 0 ? URLExt.objectToQueryString(query) : '');
  }
}

/** The path of a thing: its name is the user's, and may hold a slash. */
function of(kind: string, name: string, ...rest: string[]): string {
  return [kind, encodeURIComponent(name), ...rest].join('/');
}

/** The error that *error* is, or stands for: no answer has the status 0. What the server has said elsewhere than in an
 * answer (why a build failed) is given as its message and hint. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) {
    return error;
  }
  const { hint = '', message } =
    ((typeof error === 'object' ? error : null) as { message?: string; hint?: string }) ?? {};
  return new ApiError(0, { message: message ?? String(error), reason: '', hint, problems: [], output: '' });
}

/** The reply in *text*; an answer of another program (a proxy, a server without the extension) is told as it is. */
function readError(response: Response, text: string): rest.IErrorReply {
  const plain = {
    message: `${response.status} ${response.statusText}`,
    reason: '',
    hint: '',
    problems: [],
    output: ''
  };
  try {
    return { ...plain, ...(JSON.parse(text) as Partial<rest.IErrorReply> | null) };
  } catch {
    return plain;
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
