/** Things as the server tells of them, for tests. */
import { ServerConnection } from '@jupyterlab/services';
import { vi } from 'vitest';

import { Api } from '../api';
import type * as rest from '../rest';

export function environment(more: Partial<rest.IEnvironment> = {}): rest.IEnvironment {
  return {
    name: 'physics-1',
    display_name: 'Physics 1',
    language: 'python',
    spec_file: '/home/user/physics-1',
    image: 'sha256:0123456789abcdef',
    built_at: 1_700_000_000,
    state: 'ready',
    reason: '',
    build_id: '20240101-1',
    phase: null,
    percent: null,
    size: 200 * 1024 ** 2,
    own_size: 10 * 1024 ** 2,
    containers: 0,
    ...more
  };
}

export function build(more: Partial<rest.IBuild> = {}): rest.IBuild {
  return {
    id: '20240101-1',
    environment: 'physics-1',
    spec_file: '/home/user/physics-1',
    state: 'running',
    phase: 'installing',
    percent: 40,
    started_at: 1_700_000_000,
    ended_at: null,
    image: '',
    error: '',
    hint: '',
    ...more
  };
}

export function container(more: Partial<rest.IContainer> = {}): rest.IContainer {
  return {
    id: '0123456789ab',
    name: 'candid-quail',
    image: 'sha256:0123456789abcdef',
    image_name: 'physics-1',
    kind: 'kernel',
    argv: ['python', '-m', 'ipykernel_launcher'],
    status: 'running',
    created_at: 1_700_000_000,
    started_at: 1_700_000_000,
    ended_at: null,
    pid: 42,
    exit_code: null,
    cause: '',
    limits: [],
    labels: {},
    ...more
  };
}

export function sample(more: Partial<rest.ISample> = {}): rest.ISample {
  return {
    id: '0123456789ab',
    cpu_percent: 3,
    memory: 100 * 1024 ** 2,
    memory_limit: null,
    memory_peak: null,
    pids: 12,
    at: 1,
    ...more
  };
}

export function image(more: Partial<rest.IImage> = {}): rest.IImage {
  return {
    digest: 'sha256:0123456789abcdef',
    references: ['physics-1:latest'],
    created_at: 1_700_000_000,
    layers: [
      { diff_id: 'sha256:aaa', size: 100, created_by: 'base debian:trixie' },
      { diff_id: 'sha256:bbb', size: 50, created_by: 'python: 31 packages' }
    ],
    size: 150,
    own_size: 50,
    environments: ['physics-1'],
    ...more
  };
}

export function death(more: Partial<rest.IDeath> = {}): rest.IDeath {
  return {
    kernel_id: 'k',
    container: '0123456789ab',
    name: 'candid-quail',
    environment: 'physics-1',
    notebook: 'a.ipynb',
    message: 'the kernel has died: it was killed for memory',
    hint: 'hold less in memory',
    oom: true,
    memory_limit: 1024 ** 3,
    memory_peak: 1024 ** 3,
    exit_code: 137,
    at: 1_700_000_000,
    ...more
  };
}

/** What limits may be chosen, where the administrator allows *maximum*. */
export function allowed(maximum: Partial<rest.ILimits['maximum']> = {}): rest.ILimits {
  return {
    maximum: {
      memory: null,
      cpus: null,
      pids: null,
      gpus: null,
      network: 'full',
      files: null,
      time: null,
      ...maximum
    },
    unenforced: {},
    defaults: {},
    host: { memory: 16 * 1024 ** 3, cpus: 4 },
    environment: { memory: 2 * 1024 ** 3, cpus: null, pids: null, gpus: null, network: 'none' }
  };
}

/** The metadata of a notebook, and how often it was written to. */
export function notebook(metadata: { [key: string]: unknown }) {
  const held = {
    writes: 0,
    getMetadata: (key: string) => metadata[key],
    setMetadata: (key: string, value: unknown) => {
      held.writes++;
      metadata[key] = value;
    },
    deleteMetadata: (key: string) => {
      held.writes++;
      delete metadata[key];
    }
  };
  return held;
}

/** The interface with answers that *respond* makes up. */
export function fakeApi(respond: (request: Request) => Response | Promise<Response>): {
  api: Api;
  requests: Request[];
} {
  const requests: Request[] = [];
  const settings = ServerConnection.makeSettings({
    baseUrl: 'http://127.0.0.1:1/base/',
    fetch: vi.fn((request: Request) => {
      requests.push(request);
      return Promise.resolve(respond(request));
    }) as unknown as typeof fetch
  });
  return { api: new Api(settings), requests };
}

/** The path of a request below the interface, with its query, without what keeps it from being cached. */
export function pathOf(request: Request): string {
  const url = new URL(request.url);
  const query = url.search.replace(/[?&]\d+$/, '');
  return url.pathname.replace('/base/jupyter-containers/api/', '') + query;
}

export function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status });
}

/** A stream that sends *text* and ends. */
export function stream(text: string): Response {
  return new Response(text, { headers: { 'Content-Type': 'text/event-stream' } });
}

export function sent(type: string, data: unknown, id = ''): string {
  return `${id ? `id: ${id}\n` : ''}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

export function job(more: Partial<rest.IJob> = {}): rest.IJob {
  return {
    id: '20240101-000000-1',
    kind: 'add',
    title: 'Add polars to physics-1',
    state: 'running',
    percent: null,
    error: '',
    hint: '',
    ...more
  };
}

export function packagesChanged(more: Partial<rest.IPackagesChanged> = {}): rest.IPackagesChanged {
  return {
    requirements: ['polars'],
    packages: [{ kind: 'python', name: 'polars', version: '1.9' }],
    changed: [],
    removed: [],
    restart: [],
    image: 'sha256:0123456789abcdef',
    container: '0123456789ab',
    ...more
  };
}

export function carried(more: Partial<rest.ICarried> = {}): rest.ICarried {
  return {
    version: 1,
    name: 'thesis',
    spec: 'name = "a"',
    lock: 'lock...',
    digest: 'sha256:1',
    references: [],
    ...more
  };
}
