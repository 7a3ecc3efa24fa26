/**
 * Cells that are run before their notebook has its kernel. They show `[*]`, as cells do that a kernel has not come to, and
 * run in their order once it is there.
 *
 * JupyterLab's own executor (notebook/src/cellexecutor.ts) lets a cell wait for its kernel without a sign, clears what
 * stands below it where none comes, and runs a cell that was deleted meanwhile.
 */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Cell, ICodeCellModel } from '@jupyterlab/cells';
import type { INotebookCellExecutor, INotebookModel } from '@jupyterlab/notebook';
import { PromiseDelegate } from '@lumino/coreutils';

import type { KernelGate } from './gate';

type RunCell = INotebookCellExecutor['runCell'];

export class CellQueue implements INotebookCellExecutor {
  /** *run*: runs a cell in a kernel that is there. */
  constructor(
    private readonly _gateOf: (context: ISessionContext) => KernelGate | undefined,
    private readonly _run: RunCell
  ) {}

  async runCell(options: INotebookCellExecutor.IRunCellOptions): Promise<boolean> {
    const { cell, notebook, sessionContext: context } = options;
    const gate = context && cell.model.type === 'code' ? this._gateOf(context) : undefined;
    if (!context || !gate || context.isTerminating || context.pendingInput) {
      return this._run(options);
    }
    if (!context.hasNoKernel && gate.queued === 0) {
      return this._run(options);
    }
    this._attend(notebook, context);
    if (!(await this._wait(cell, context, gate, options.sessionDialogs))) {
      return false;
    }
    return this._run(options);
  }

  /** Whether *cell* is still to be run, in a kernel that is there. */
  private async _wait(
    cell: Cell,
    context: ISessionContext,
    gate: KernelGate,
    dialogs: INotebookCellExecutor.IRunCellOptions['sessionDialogs']
  ): Promise<boolean> {
    const model = cell.model as ICodeCellModel;
    const { id } = model; // of a model that is gone it can't be told
    const withdrawn = new PromiseDelegate<false>();
    const withdraw = () => withdrawn.resolve(false);
    const before = context.hasNoKernel ? null : (this._last.get(context) ?? null);
    const place = gate.enqueue(withdraw);
    this._waiting.add(id);
    cell.disposed.connect(withdraw);
    model.executionState = 'running';
    const kernel = (async () => {
      // With a kernel that has just come it is no other cell's turn than that of those before.
      await before;
      if (context.hasNoKernel && (await context.startKernel())) {
        await dialogs?.selectKernel(context);
      }
      return !context.hasNoKernel;
    })();
    this._last.set(
      context,
      kernel.catch(() => false)
    );
    let runs = false;
    try {
      runs = await Promise.race([kernel, withdrawn.promise]);
    } finally {
      kernel.catch(() => undefined); // nobody waits for it any more
      place.dispose();
      this._waiting.delete(id);
      cell.disposed.disconnect(withdraw);
      if (!runs && !cell.isDisposed) {
        model.executionState = 'idle';
      }
    }
    return runs && !cell.isDisposed;
  }

  /** A cell that was deleted while it waited comes back with its state, but nobody runs it. */
  private _attend(notebook: INotebookModel, context: ISessionContext): void {
    if (this._attended.has(notebook)) {
      return;
    }
    this._attended.add(notebook);
    notebook.cells.changed.connect((_, { newValues, type }) => {
      for (const model of type === 'add' ? newValues : []) {
        const code = model.type === 'code' ? (model as ICodeCellModel) : null;
        if (code?.executionState === 'running' && context.hasNoKernel && !this._waiting.has(code.id)) {
          code.executionState = 'idle';
        }
      }
    });
  }

  private readonly _attended = new WeakSet<INotebookModel>();
  private readonly _last = new WeakMap<ISessionContext, Promise<boolean>>();
  /** The ids of the cells that wait. */
  private readonly _waiting = new Set<string>();
}
