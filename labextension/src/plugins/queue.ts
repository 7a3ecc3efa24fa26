import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookCellExecutor, runCell } from '@jupyterlab/notebook';

import { CellQueue } from '../queue';
import { IBuildsInSight, NAMESPACE } from '../tokens';

/** Stands in for `@jupyterlab/notebook-extension:cell-executor`, which package.json turns off, and runs cells as that does. */
export const queuePlugin: JupyterFrontEndPlugin<INotebookCellExecutor> = {
  id: `${NAMESPACE}:cell-executor`,
  description: 'Runs cells, and shows those that wait for their kernel.',
  autoStart: true,
  requires: [IBuildsInSight],
  provides: INotebookCellExecutor,
  activate: (_: JupyterFrontEnd, builds: IBuildsInSight): INotebookCellExecutor =>
    new CellQueue(context => builds.gate(context), runCell)
};
