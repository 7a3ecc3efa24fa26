import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ISessionContextDialogs } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { METADATA } from '../metadata';
import { ContainersModel } from '../model';
import { Opening } from '../opening';
import type { IChecked, IJob } from '../rest';
import { DEFAULTS } from '../settings';
import type { IBanners } from '../tokens';
import type { INotice } from '../widgets/banner';
import { carried, fakeApi, job, json, pathOf } from './things';

const CHECKED: IChecked = {
  state: 'missing',
  environment: 'thesis',
  digest: 'sha256:1',
  would: ['run <b>this</b>\u202E'],
  problems: [],
  trusted: false
};

/** A page with one notebook, and a server that says *checked*. */
function page(checked: Partial<IChecked>, jobs: IJob[] = [], metadata: unknown = carried()) {
  const { api, requests } = fakeApi(request => {
    switch (pathOf(request)) {
      case 'notebooks/check':
        return json({ ...CHECKED, ...checked });
      case 'jobs':
        return json(jobs);
      case 'notebooks/open':
        return json(job({ id: 'open-1', kind: 'open' }), 202);
      default:
        return json({ message: 'no such path' }, 404);
    }
  });
  const model = new ContainersModel(api);
  const notices = new Map<string, INotice | null>();
  const banners = {
    show: (_: unknown, key: string, notice: INotice | null) => notices.set(key, notice)
  } as unknown as IBanners;
  const context = {
    path: 'a.ipynb',
    name: 'a.ipynb',
    ready: Promise.resolve(),
    isDisposed: false,
    session: null,
    kernelPreference: { name: 'jc-thesis' } as { name?: string; shouldStart?: boolean },
    startKernel: vi.fn(() => Promise.resolve(false)),
    changeKernel: vi.fn(() => Promise.resolve(null))
  };
  Object.assign(context, { kernelChanged: new Signal(context) });
  const panel = {
    isDisposed: false,
    sessionContext: context,
    context: { path: 'a.ipynb', localPath: 'a.ipynb' },
    model: {
      getMetadata: (key: string) => (key === METADATA ? metadata : undefined),
      defaultKernelName: 'jc-thesis'
    }
  } as unknown as NotebookPanel;
  const execute = vi.fn();
  const app = {
    commands: { execute },
    serviceManager: {
      kernelspecs: { specs: { kernelspecs: { 'jc-thesis': {} } }, refreshSpecs: () => Promise.resolve() }
    }
  } as unknown as JupyterFrontEnd;
  const settings = { values: DEFAULTS, changed: new Signal({}) } as never;
  const opening = new Opening({
    app,
    model,
    banners,
    settings,
    dialogs: {} as ISessionContextDialogs,
    trans: nullTranslator.load('')
  });
  const end = (more: Partial<IJob>) => {
    const item = job({ id: 'open-1', kind: 'open', ...more });
    model.receive('change', JSON.stringify({ kind: 'job', key: item.id, item }));
  };
  return { context, end, notices, opening, panel, paths: () => requests.map(pathOf) };
}

async function answer(selector: string): Promise<string> {
  const dialog = await vi.waitFor(() => {
    const node = document.querySelector<HTMLElement>('.jp-Dialog');
    expect(node?.textContent).toContain('brings its environment along');
    return node!;
  });
  const text = dialog.textContent ?? '';
  dialog.querySelector<HTMLElement>(selector)!.click();
  return text;
}

describe('a notebook that is opened', () => {
  beforeEach(() => {
    window.sessionStorage.clear();
    vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', false); // dialogs are rendered when they like
  });
  afterEach(() => {
    document.querySelectorAll('.jp-Dialog').forEach(node => node.remove());
    vi.unstubAllGlobals();
  });

  it('and carries nothing is left alone', async () => {
    const { context, opening, panel, paths } = page({}, [], { limits: {} });
    await opening.opened(panel);
    expect([paths(), context.kernelPreference]).toEqual([[], { name: 'jc-thesis' }]);
  });

  it('waits with its kernel, and starts it where the environment is here', async () => {
    const { context, opening, panel } = page({ state: 'present' });
    const opened = opening.opened(panel);
    expect(context.kernelPreference.shouldStart).toBe(false);
    await opened;
    await vi.waitFor(() => expect(context.startKernel).toHaveBeenCalledOnce());
    expect(context.kernelPreference).toEqual({ name: 'jc-thesis', shouldStart: true });
  });

  it('starts in the environment that has the very image, whatever its name is here', async () => {
    const { context, opening, panel } = page({ state: 'present', environment: 'thesis-2' });
    await opening.opened(panel);
    await vi.waitFor(() => expect(context.startKernel).toHaveBeenCalledOnce());
    expect(context.kernelPreference.name).toBe('jc-thesis-2');
  });

  it('says what is wrong with what it carries; its kernel is another matter', async () => {
    const problem = { file: METADATA, line: null, key: 'digest', cause: 'not a digest', remedy: '' };
    const { context, notices, opening, panel } = page({ state: 'invalid', problems: [problem] });
    await opening.opened(panel);
    expect(notices.get('carried-invalid')?.items).toEqual(['digest — not a digest']);
    await vi.waitFor(() => expect(context.startKernel).toHaveBeenCalledOnce());
  });

  it('runs nothing where its user says no, and asks no more', async () => {
    const first = page({});
    const opened = first.opening.opened(first.panel);
    const text = await answer('.jp-mod-reject');
    expect(text).toContain('run <b>this</b>\\u{202e}'); // text, and all of it
    await opened;
    expect(first.notices.get('carried')?.message).toContain('Nothing of thesis');
    const again = page({});
    await again.opening.opened(again.panel);
    for (const { context, paths } of [first, again]) {
      expect(paths()).not.toContain('notebooks/open');
      expect(context.startKernel.mock.calls.length + context.changeKernel.mock.calls.length).toBe(0);
    }
    // The way back.
    void again.opening.ask(again.panel);
    await answer('.jp-mod-reject');
  });

  it('gets its kernel once the environment is made', async () => {
    const { context, end, notices, opening, panel, paths } = page({});
    const opened = opening.opened(panel);
    await answer('.jp-mod-accept');
    await vi.waitFor(() => expect(notices.get('carried')?.tone).toBe('busy'));
    expect(paths()).toContain('notebooks/open');
    expect(context.changeKernel).not.toHaveBeenCalled();
    const result = {
      environment: 'thesis',
      digest: 'sha256:1',
      expected: 'sha256:1',
      same: true,
      how: 'built'
    };
    end({ state: 'done', result });
    await opened;
    expect(context.changeKernel).toHaveBeenCalledWith({ name: 'jc-thesis' });
    expect(notices.get('carried')).toBeNull();
  });

  it('says why it has none where that fails, with a next step', async () => {
    const { context, end, notices, opening, panel } = page({});
    const opened = opening.opened(panel);
    await answer('.jp-mod-accept');
    await vi.waitFor(() => expect(notices.get('carried')?.tone).toBe('busy'));
    end({ state: 'failed', error: 'no space left', hint: 'prune' });
    await opened;
    expect(notices.get('carried')).toMatchObject({ tone: 'bad', output: 'no space left', hint: 'prune' });
    expect(notices.get('carried')?.steps.map(step => step.label)).toEqual([
      'Try Again…',
      'Choose Another Kernel…'
    ]);
    expect(context.changeKernel).not.toHaveBeenCalled();
  });

  it('follows what its user has agreed to before the page was loaded again', async () => {
    const active = job({ id: 'open-1', kind: 'open', alone: 'open sha256:1' });
    const { end, notices, opening, panel, paths } = page({}, [active]);
    const opened = opening.opened(panel);
    await vi.waitFor(() => expect(notices.get('carried')?.tone).toBe('busy'));
    end({ state: 'cancelled' });
    await opened;
    expect(paths()).not.toContain('notebooks/open');
    expect(notices.get('carried')?.message).toContain('was cancelled');
  });
});
