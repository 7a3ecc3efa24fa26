import type { ISessionContextDialogs } from '@jupyterlab/apputils';
import type { INotebookCellExecutor } from '@jupyterlab/notebook';
import { Signal } from '@lumino/signaling';
import { describe, expect, it, vi } from 'vitest';

import { CellQueue } from '../queue';
import { phase, setUp, UNBUILT } from './gated';

/** A code cell, as far as it is looked at. */
class FakeCell {
  constructor(readonly name: string) {
    this.model = { id: name, type: 'code', executionState: 'idle' };
  }
  readonly model: { id: string; type: string; executionState: string };
  isDisposed = false;
  readonly disposed = new Signal<this, void>(this);
  remove(): void {
    this.isDisposed = true;
    this.model.id = ''; // as that of a shared model that is gone
    this.disposed.emit();
  }
}

const unbuilt = { ...UNBUILT, asks: ['network'] }; // nothing happens before the user agrees

function queueUp(item = unbuilt) {
  const set = setUp(item, { agrees: true });
  const { context, gate } = set;
  Object.assign(context, { isTerminating: false, pendingInput: false });
  const ran: string[] = [];
  const run = vi.fn(({ cell }: INotebookCellExecutor.IRunCellOptions) => {
    ran.push((cell as unknown as FakeCell).name);
    return Promise.resolve(true);
  });
  const queue = new CellQueue(() => gate, run);
  const cells = { changed: new Signal<object, { type: string; newValues: object[] }>({}) };
  const dialogs = {
    selectKernel: vi.fn(() => (gate.expects ? gate.join() : Promise.resolve()))
  };
  const runCell = (cell: FakeCell) =>
    queue.runCell({
      cell,
      notebook: { cells },
      sessionContext: context,
      sessionDialogs: dialogs as unknown as ISessionContextDialogs
    } as unknown as INotebookCellExecutor.IRunCellOptions);
  /** The notebook is open and waits. */
  const wait = async () => {
    void context.startKernel().then(() => gate.join());
    await vi.waitFor(() => expect(phase(gate)).toBe('consent'));
  };
  return { ...set, cells, dialogs, ran, runCell, wait };
}

const states = (...cells: FakeCell[]) => cells.map(cell => cell.model.executionState);

describe('cells that wait', () => {
  it('say so, and run in their order, those too that came as the kernel did', async () => {
    const { builds, context, gate, ran, runCell, wait } = queueUp();
    await wait();
    const [one, two, three] = ['one', 'two', 'three'].map(name => new FakeCell(name));
    const results = [runCell(one), runCell(two)];
    expect(states(one, two)).toEqual(['running', 'running']);
    expect(gate.queued).toBe(2);
    // There is a kernel, and those before have not heard of it yet.
    context.onKernel = () => void results.push(runCell(three));
    await gate.proceed();
    builds('done');
    await vi.waitFor(() => expect(ran).toHaveLength(3));
    expect(ran).toEqual(['one', 'two', 'three']);
    expect(await Promise.all(results)).toEqual([true, true, true]);
    expect(gate.queued).toBe(0);
    expect(context.started).toEqual(['jc-new']);
  });

  it('are not run, and do not say so any more, where the user takes them back', async () => {
    const { gate, ran, runCell, wait } = queueUp();
    await wait();
    const cell = new FakeCell('one');
    const result = runCell(cell);
    await vi.waitFor(() => expect(gate.queued).toBe(1));
    gate.withdraw();
    expect(await result).toBe(false);
    expect([...states(cell), gate.queued, phase(gate), ran.length]).toEqual(['idle', 0, 'consent', 0]);
  });

  it('are not run where nobody waits for the kernel any more', async () => {
    const { gate, ran, runCell, wait } = queueUp();
    await wait();
    const cell = new FakeCell('one');
    const result = runCell(cell);
    await vi.waitFor(() => expect(gate.queued).toBe(1));
    gate.giveUp();
    expect(await result).toBe(false);
    expect([states(cell), ran]).toEqual([['idle'], []]);
  });

  it('are gone once they are deleted, and are no more than cells when they come back', async () => {
    const { builds, cells, gate, ran, runCell, wait } = queueUp();
    await wait();
    const [gone, stays] = [new FakeCell('gone'), new FakeCell('stays')];
    const results = [runCell(gone), runCell(stays)];
    gone.remove();
    expect(await results[0]).toBe(false);
    expect(gate.queued).toBe(1);
    const back = new FakeCell('gone');
    back.model.executionState = 'running'; // as it was when it was deleted
    cells.changed.emit({ type: 'add', newValues: [back.model, stays.model] });
    expect(states(back, stays)).toEqual(['idle', 'running']);
    await gate.proceed();
    builds('done');
    expect(await results[1]).toBe(true);
    expect(ran).toEqual(['stays']);
  });

  it('say nothing of it where their kernel can’t be had', async () => {
    const { context, dialogs, ran, runCell } = queueUp();
    context.startKernel = () => Promise.reject(new Error('no'));
    const cell = new FakeCell('one');
    await expect(runCell(cell)).rejects.toThrow('no');
    expect([...states(cell), ran.length]).toEqual(['idle', 0]);
    context.startKernel = () => Promise.resolve(true); // a kernel is to be chosen, and none is
    expect(await runCell(cell)).toBe(false);
    expect(dialogs.selectKernel).toHaveBeenCalledOnce();
    expect(states(cell)).toEqual(['idle']);
  });
});

describe('cells with a kernel', () => {
  it('are run by JupyterLab', async () => {
    const { context, ran, runCell } = queueUp();
    context.session = { kernel: { name: 'python3' } };
    const cell = new FakeCell('one');
    expect(await runCell(cell)).toBe(true);
    expect([ran, states(cell)]).toEqual([['one'], ['idle']]);
  });
});
