import type { IDisposable } from '@lumino/disposable';
import { describe, expect, it, vi } from 'vitest';

import { phase, setUp, UNBUILT } from './gated';
import { build, environment } from './things';

describe('a kernel of what is ready', () => {
  it('starts at once, as every other kernel does', async () => {
    const { context, gate } = setUp(environment({ name: 'new' }));
    expect(await context.startKernel()).toBe(false);
    expect(context.started).toEqual(['jc-new']);
    await context.changeKernel({ name: 'python3' });
    expect(context.started).toEqual(['jc-new', 'python3']);
    expect(gate.wait).toBeNull();
  });
});

describe('a notebook that is opened', () => {
  it('has what is not built built, but no more than was agreed to, and starts then', async () => {
    const { bodies, builds, context, gate, model } = setUp(UNBUILT);
    expect(await context.startKernel()).toBe(true);
    expect(gate.expects).toBe(true);
    await vi.waitFor(() => expect(gate.wait).toEqual({ phase: 'building', build: 'b1' }));
    expect(await bodies()).toEqual([{ environment: 'new', automatic: true }]);
    builds('running');
    await new Promise(resolve => setTimeout(resolve, 80));
    expect(context.started).toEqual([]);
    expect(model.isNeeded).toBe(true); // it goes on in a tab that nobody sees
    builds('done');
    await vi.waitFor(() => expect(gate.wait).toBeNull());
    expect(context.started).toEqual(['jc-new']);
    expect(model.isNeeded).toBe(false);
  });

  it('waits no more for what was deleted', async () => {
    const { context, gate, tell } = setUp({ ...UNBUILT, asks: ['network'] });
    await context.startKernel();
    tell('environment', 'new', null);
    await vi.waitFor(() => expect(gate.wait).toBeNull());
  });

  it('waits for the word of the user, without a dialog, and builds nothing before', async () => {
    const { agree, bodies, context, gate } = setUp({ ...UNBUILT, asks: ['network'] });
    await context.startKernel();
    await vi.waitFor(() => expect(phase(gate)).toBe('consent'));
    expect(agree).not.toHaveBeenCalled();
    expect(await bodies()).toEqual([]);
    await gate.proceed(); // the user has looked, and said no
    expect(agree).toHaveBeenCalledOnce();
    expect(phase(gate)).toBe('consent');
    agree.mockResolvedValue(true);
    await gate.proceed();
    expect(await bodies()).toEqual([{ environment: 'new' }]);
    expect(phase(gate)).toBe('building');
  });

  it('starts nothing before what holds it is settled', async () => {
    let settle = () => {};
    const held = new Promise<void>(resolve => (settle = resolve));
    const { context, gate } = setUp(environment({ name: 'new' }), { held });
    await context.startKernel();
    expect(phase(gate)).toBe('held');
    expect(context.started).toEqual([]);
    settle();
    await vi.waitFor(() => expect(context.started).toEqual(['jc-new']));
  });
});

describe('an environment that is chosen', () => {
  it('is asked for at once, and may be refused', async () => {
    const { agree, bodies, context, gate } = setUp({ ...UNBUILT, asks: ['network'] }, { chosen: true });
    await context.startKernel();
    expect(agree).toHaveBeenCalledOnce();
    expect(phase(gate)).toBe('consent');
    expect(await bodies()).toEqual([]);
  });

  it('gets no more than was agreed to before, where nobody was asked', async () => {
    const { agree, bodies, context, gate } = setUp(UNBUILT, { chosen: true });
    await context.startKernel();
    await vi.waitFor(() => expect(phase(gate)).toBe('building'));
    expect(agree).not.toHaveBeenCalled();
    expect(await bodies()).toEqual([{ environment: 'new', automatic: true }]);
    expect(gate.wasAutomatic).toBe(true);
  });

  it('takes the place of the kernel that is there only after the user has agreed', async () => {
    const { agree, bodies, builds, context, gate } = setUp({ ...UNBUILT, asks: ['network'] });
    context.session = { kernel: { name: 'python3' } };
    await context.changeKernel({ name: 'jc-new' });
    expect(context.session.kernel?.name).toBe('python3');
    expect(gate.wait).toBeNull();
    agree.mockResolvedValue(true);
    const changed = context.changeKernel({ name: 'jc-new' });
    await vi.waitFor(() => expect(gate.wait).toEqual({ phase: 'building', build: 'b1' }));
    expect(context.session).toBeNull();
    expect(await bodies()).toEqual([{ environment: 'new' }]);
    expect(gate.wasAutomatic).toBe(false);
    builds('done');
    expect(await changed).toEqual({ name: 'jc-new' });
  });
});

describe('a restart', () => {
  it('is one, where nothing has changed', async () => {
    const { bodies, context } = setUp(environment({ name: 'new' }));
    context.session = { kernel: { name: 'jc-new' } };
    await context.restartKernel();
    expect(context.restarts).toBe(1);
    expect(await bodies()).toEqual([]);
  });

  it('builds in sight what has changed', async () => {
    const { builds, context, gate } = setUp({ ...UNBUILT, state: 'out of date' });
    context.session = { kernel: { name: 'jc-new' } };
    const restarted = context.restartKernel();
    await vi.waitFor(() => expect(gate.wait).toEqual({ phase: 'building', build: 'b1' }));
    builds('done');
    await restarted;
    expect([context.restarts, context.started]).toEqual([0, ['jc-new']]);
  });

  it('builds nothing where its kernelspec says so', async () => {
    const { bodies, context } = setUp({ ...UNBUILT, state: 'out of date' });
    Object.assign(context.metadata, { kernel_provisioner: { config: { build: 'missing' } } });
    context.session = { kernel: { name: 'jc-new' } };
    await context.restartKernel();
    expect([context.restarts, await bodies()]).toEqual([1, []]);
  });
});

describe('what the page has not been told yet', () => {
  it('is asked for: a build that has just ended is not waited for, and asks nothing', async () => {
    const { agree, bodies, context, gate, now } = setUp({ ...UNBUILT, asks: ['network'] }, { chosen: true });
    now.set('new', environment({ name: 'new' }));
    expect(await context.startKernel()).toBe(false);
    expect(agree).not.toHaveBeenCalled();
    expect(gate.wait).toBeNull();
    expect(await bodies()).toEqual([]);
  });

  it('is asked for: an environment that has just come has what it lacks built', async () => {
    const { context, gate, now } = setUp(environment({ name: 'other' }));
    now.set('new', UNBUILT);
    expect(await context.startKernel()).toBe(true);
    await vi.waitFor(() => expect(phase(gate)).toBe('building'));
  });
});

describe('an environment that has just come', () => {
  it('is waited for where the list of kernels does not have it yet', async () => {
    const { context } = setUp(environment({ name: 'new' }));
    const specs = context.specsManager.specs.kernelspecs;
    const spec = specs['jc-new'];
    delete specs['jc-new'];
    context.specsManager.refreshSpecs = () => {
      specs['jc-new'] = spec;
      return Promise.resolve();
    };
    expect(await context.startKernel()).toBe(false);
    expect(context.started).toEqual(['jc-new']);
  });
});

describe('cells that are run meanwhile', () => {
  it('wait, in their order, also for a build that is tried again', async () => {
    const { builds, context, gate } = setUp(UNBUILT);
    await context.startKernel();
    void gate.join(); // who opened the notebook
    await vi.waitFor(() => expect(phase(gate)).toBe('building'));
    const ran: number[] = [];
    const places: IDisposable[] = [];
    for (const cell of [1, 2]) {
      places.push(gate.enqueue(() => undefined));
      void (async () => {
        // as JupyterLab runs a cell
        if (context.hasNoKernel && (await context.startKernel()) && gate.expects) {
          await gate.join();
        }
        ran.push(context.hasNoKernel ? -cell : cell);
      })();
    }
    expect(gate.queued).toBe(2);
    builds('failed', { error: 'no', hint: 'do' });
    await vi.waitFor(() => expect(phase(gate)).toBe('failed'));
    expect(ran).toEqual([]);
    await gate.proceed();
    await vi.waitFor(() => expect(phase(gate)).toBe('failed')); // the build is the same one here
    builds('done');
    await gate.proceed();
    await vi.waitFor(() => expect(ran).toEqual([1, 2]));
    places.forEach(place => place.dispose());
    expect(gate.queued).toBe(0);
  });

  it('wait also where the notebook is just being opened', async () => {
    const { builds, context, gate } = setUp(UNBUILT);
    const opened = context.startKernel().then(() => gate.join());
    const cell = context.startKernel().then(() => gate.join());
    await vi.waitFor(() => expect(phase(gate)).toBe('building'));
    builds('done');
    await Promise.all([opened, cell]);
    expect(context.started).toEqual(['jc-new']);
  });

  it('are not run once nobody waits any more', async () => {
    const { context, gate } = setUp({ ...UNBUILT, asks: ['network'] });
    await context.startKernel();
    const cell = context.startKernel().then(() => gate.join());
    gate.giveUp();
    await cell;
    expect(context.hasNoKernel).toBe(true);
    expect(context.started).toEqual([]);
  });
});

describe('what goes wrong', () => {
  it('is told, and not tried again by itself', async () => {
    const { builds, context, gate, tell } = setUp(UNBUILT);
    context.refusal = new Error('no memory');
    await context.startKernel();
    await vi.waitFor(() => expect(phase(gate)).toBe('building'));
    builds('done');
    await vi.waitFor(() => expect(gate.wait).toMatchObject({ phase: 'failed', error: 'no memory' }));
    tell('environment', 'new', { ...UNBUILT, state: 'ready' });
    await new Promise(resolve => setTimeout(resolve, 80));
    expect(phase(gate)).toBe('failed');
    context.refusal = null;
    await gate.proceed();
    expect(context.started).toEqual(['jc-new']);
  });

  it('is over where it is built in another place', async () => {
    const { builds, context, gate, tell } = setUp(UNBUILT);
    await context.startKernel();
    await vi.waitFor(() => expect(phase(gate)).toBe('building'));
    builds('failed', { error: 'no' });
    await vi.waitFor(() => expect(phase(gate)).toBe('failed'));
    tell('environment', 'new', { ...UNBUILT, state: 'building', build_id: 'b2' });
    await vi.waitFor(() => expect(gate.wait).toEqual({ phase: 'building', build: 'b2' }));
    tell('build', 'b2', build({ id: 'b2', environment: 'new', state: 'done' }));
    await vi.waitFor(() => expect(context.started).toEqual(['jc-new']));
  });
});
