import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { changesText, doneText, isActive, jobEnded, packagesOf } from '../jobs';
import type { IContainersModel, Topic } from '../model';
import { Answer, IQuestion, IRequestHost, ITold, readRequest, Requests } from '../requests';
import { nameOf, requirementsOf } from '../requirements';
import type { IJob, JobState } from '../rest';
import { askUser, choosePackages } from '../widgets/packages';
import { container, fakeApi, job, json, packagesChanged, pathOf } from './things';

const trans = nullTranslator.load('');

describe('what came of a job', () => {
  it('is told with what was added and changed, and what waits for a restart', () => {
    const changed = packagesChanged({
      changed: [{ kind: 'python', name: 'numpy', before: '1.0', after: '2.0' }],
      restart: ['numpy']
    });
    expect(
      doneText(job({ kind: 'add', title: 'Add polars to a', state: 'done', result: changed }), trans)
    ).toBe(
      'Add polars to a: added polars 1.9; changed numpy 1.0 → 2.0; after a restart of the kernel: numpy'
    );
  });

  it('is short where much has changed, and says where nothing has', () => {
    const packages = ['a', 'b', 'c', 'd', 'e'].map(name => ({ kind: 'python', name, version: '' }));
    expect(changesText(packagesChanged({ packages }), trans)).toBe('added a, b, c and 2 more');
    expect(changesText(packagesChanged({ packages: [] }), trans)).toBe('nothing had to change');
    expect(changesText(packagesChanged({ image: '' }), trans)).toContain('the next build');
  });

  it('tells whether the image is the notebook’s own', () => {
    const opened = (more: object) =>
      doneText(
        job({
          kind: 'open',
          state: 'done',
          result: { environment: 'thesis', digest: '1', expected: '1', same: true, how: 'built', ...more }
        }),
        trans
      );
    expect(opened({})).toContain('built, the very image');
    expect(opened({ how: 'pulled' })).toContain('pulled, the very image');
    expect(opened({ same: false, digest: '2' })).toContain('its image is another one');
    expect(doneText(job({ kind: 'pull', title: 'Pull x', state: 'done' }), trans)).toBe('Pull x: done');
  });

  it('is about packages only where they were changed', () => {
    expect(packagesOf(job({ kind: 'add', state: 'failed' }))).toBeNull();
    expect(packagesOf(job({ kind: 'pull', state: 'done', result: {} }))).toBeNull();
    expect(['queued', 'running', 'done'].map(state => isActive(job({ state: state as JobState })))).toEqual([
      true,
      true,
      false
    ]);
  });
});

describe('waiting for a job', () => {
  function model() {
    const jobs = new Map<string, IJob>();
    const known = { jobs } as unknown as IContainersModel;
    const changed = new Signal<IContainersModel, ReadonlySet<Topic>>(known);
    Object.assign(known, { changed });
    const set = (item: IJob | null) => {
      if (item) {
        jobs.set('1', item);
      } else {
        jobs.delete('1');
      }
      changed.emit(new Set());
    };
    return { known, set };
  }

  it('ends with it, and tells of what goes on', async () => {
    const { known, set } = model();
    const phases: unknown[] = [];
    const ended = jobEnded(known, job({ id: '1' }), trans, item => phases.push(item.phase));
    set(job({ id: '1', phase: 'finding versions' }));
    set(job({ id: '1', state: 'done', phase: 'installing' }));
    set(job({ id: '1', state: 'done', phase: 'nobody listens any more' }));
    expect((await ended).state).toBe('done');
    expect(phases).toEqual(['finding versions', 'installing']);
  });

  it('ends where the server has forgotten it', async () => {
    const { known, set } = model();
    const ended = jobEnded(known, job({ id: '1' }), trans);
    set(null); // not known yet
    set(job({ id: '1' }));
    set(null);
    expect(await ended).toMatchObject({ state: 'failed', error: 'The server was started again meanwhile.' });
  });
});

describe('a question of a kernel', () => {
  const DATA = { version: 1, action: 'add', packages: ['polars'] };

  it.each([
    null,
    'polars',
    {},
    { ...DATA, version: 2 },
    { ...DATA, action: 'remove' },
    { ...DATA, packages: [] },
    { ...DATA, packages: 'polars' },
    { ...DATA, packages: ['polars', 1] },
    { ...DATA, packages: [' '] },
    { ...DATA, packages: ['x'.repeat(201)] },
    { ...DATA, packages: ['evil\u202Egnp'] },
    { ...DATA, packages: Array.from({ length: 101 }, () => 'x') }
  ])('is not understood: %j', data => {
    expect(readRequest(data)).toBeNull();
  });

  function requests(more: Partial<IRequestHost> = {}) {
    const asked: IQuestion[] = [];
    const told: ITold[] = [];
    const answers: ((answer: Answer) => void)[] = [];
    const added: IQuestion[] = [];
    const handler = new Requests(
      {
        containerOf: async () => container(),
        environmentOf: item => item.image_name,
        ask: question => {
          asked.push(question);
          return new Promise(resolve => answers.push(resolve));
        },
        add: async question => {
          added.push(question);
          return job({ kind: 'add', title: 'Add polars to physics-1', phase: '' });
        },
        ended: async (item, onChange) => {
          onChange({ ...item, phase: 'finding versions' });
          onChange({ ...item, phase: 'finding versions', percent: 50 });
          return { ...item, state: 'done', result: packagesChanged() };
        },
        ...more
      },
      trans
    );
    const receive = (kernel = 'k1', data: unknown = DATA) =>
      handler.receive(kernel, 'a.ipynb', data, item => told.push(item));
    return { added, answers, asked, handler, receive, told };
  }

  it('is the user’s to answer, with the environment as the server names it', async () => {
    const { added, answers, asked, receive, told } = requests();
    const done = receive('k1', { ...DATA, environment: 'another' });
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    expect(asked).toEqual([
      { packages: ['polars'], environment: 'physics-1', container: '0123456789ab', notebook: 'a.ipynb' }
    ]);
    expect([added, told]).toEqual([[], []]); // nothing before the answer
    answers[0]('yes');
    await done;
    expect(told).toEqual([
      { state: 'running', text: 'Add polars to physics-1 …' },
      { state: 'running', text: 'Add polars to physics-1: finding versions …' },
      { state: 'done', text: 'Add polars to physics-1: added polars 1.9' }
    ]);
    expect(added).toHaveLength(1);
  });

  it('waits for nobody else’s answer: one at a time for each kernel', async () => {
    const { answers, receive, told } = requests();
    const first = receive('k1');
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    await receive('k1');
    expect(told).toHaveLength(1);
    expect(told[0].state).toBe('refused');
    expect(told[0].text).toContain('waits for its answer');
    const other = receive('k2');
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers.forEach(answer => answer('no'));
    await Promise.all([first, other]);
    const again = receive('k1');
    await vi.waitFor(() => expect(answers).toHaveLength(3));
    answers[2]('no');
    await again;
  });

  it('that is refused adds nothing, and for good until a restart where the user says so', async () => {
    const { added, answers, handler, receive, told } = requests();
    const refused = receive();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    answers[0]('never');
    await refused;
    await receive();
    expect(answers).toHaveLength(1);
    expect(told.map(item => item.state)).toEqual(['refused', 'refused']);
    handler.forget('k1');
    void receive();
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    expect(added).toEqual([]);
  });

  it('of a kernel whose environment is not known is refused', async () => {
    for (const more of [{ containerOf: async () => undefined }, { environmentOf: () => '' }]) {
      const { answers, receive, told } = requests(more);
      await receive();
      expect([answers.length, told[0].state]).toEqual([0, 'refused']);
    }
  });

  it.each([
    [{ add: () => Promise.reject(new Error('no such package')) }, 'no such package'],
    [
      {
        ended: async (item: IJob) => ({
          ...item,
          state: 'failed' as const,
          error: 'no wheel',
          hint: 'pin it'
        })
      },
      'Add polars to physics-1: no wheel\npin it'
    ],
    [{ ended: async (item: IJob) => ({ ...item, state: 'cancelled' as const }) }, 'it was cancelled']
  ])('that comes to nothing says why', async (more, text) => {
    const { answers, receive, told } = requests(more);
    const done = receive();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    answers[0]('yes');
    await done;
    expect(told.at(-1)?.state).toBe('failed');
    expect(told.at(-1)?.text).toContain(text);
  });
});

describe('the packages that a spec names', () => {
  it('are those of its own file', () => {
    expect(
      requirementsOf('/a/jupyter-container.toml', '', { packages: { pip: ['six', 'a[b]>=1'] } })
    ).toEqual(['six', 'a[b]>=1']);
    expect(requirementsOf('/a/pyproject.toml', '', { project: { dependencies: ['numpy'] } })).toEqual([
      'numpy'
    ]);
    expect(requirementsOf('/a/jupyter-container.toml', '', null)).toEqual([]);
    const text = '# mine\nsix==1.17  # small\n\n-r more.txt\nhttps://example.org/a.whl\nidna\n';
    expect(requirementsOf('/a/requirements.txt', text, null)).toEqual(['six==1.17', 'idna']);
  });

  it('have a name', () => {
    const names = ['a-b.c[d]>=1; x', 'six', 'a @ https://x', '-r x', 'git+https://x', './a', 'a/b.whl'];
    expect(names.map(nameOf)).toEqual(['a-b.c', 'six', 'a', '', '', '', '']);
  });
});

describe('the dialogs', () => {
  // They are rendered when they like.
  beforeEach(() => void vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', false));
  afterEach(() => {
    document.querySelectorAll('.jp-Dialog').forEach(node => node.remove());
    vi.unstubAllGlobals();
  });

  const find = async <T extends HTMLElement>(selector: string): Promise<T> =>
    vi.waitFor(() => {
      const node = document.querySelector<T>(selector);
      expect(node).not.toBeNull();
      return node!;
    });

  it('take Enter for a no: the question comes when a kernel likes', async () => {
    const question = { packages: ['<img src=x>'], environment: 'a', container: '1', notebook: 'a.ipynb' };
    const answer = askUser(question, 'A', trans);
    const dialog = await find('.jp-Dialog');
    await vi.waitFor(() => expect(dialog.textContent).toContain('<img src=x>'));
    expect(dialog.querySelector('img')).toBeNull();
    dialog.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
    expect(await answer).toBe('no');
  });

  it('add nothing before something is chosen', async () => {
    const { api } = fakeApi(request =>
      pathOf(request).startsWith('packages?')
        ? json({ items: [{ name: 'polars', version: '1.9', summary: '' }], source: '', complete: true })
        : json({ name: 'polars', versions: ['1.9'], summary: '' })
    );
    const chosen = choosePackages({ api, trans, title: 'A', note: 'note' });
    (await find('.jp-Dialog .jp-mod-accept')).click();
    await vi.waitFor(() =>
      expect(document.querySelector('[role=alert]')?.textContent).toContain('choose it first')
    );
    const box = await find<HTMLInputElement>('input[type=search]');
    // React reads what the browser has set, past its own property.
    Reflect.set(HTMLInputElement.prototype, 'value', 'pol', box);
    box.dispatchEvent(new Event('input', { bubbles: true }));
    await find('[role=option]');
    // Enter chooses what was found, and does not end the dialog.
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
    (await find('.jp-Containers-versions .jp-mod-accept')).click();
    await vi.waitFor(() =>
      expect(document.querySelector('.jp-Containers-chosen')?.textContent).toBe('polars')
    );
    (await find('.jp-Dialog-footer .jp-mod-accept')).click();
    expect(await chosen).toEqual(['polars']);
  });
});
