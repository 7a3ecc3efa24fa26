import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

import { findByKernel } from '../environments';
import type { IContainersModel, ItemChange } from '../model';
import type { IEnvironment } from '../rest';
import { CommandIDs, IContainers, IBuildsInSight, NAMESPACE } from '../tokens';

/** Milliseconds after a choice within which a build that begins is taken for the choice's. */
const PATIENCE = 15_000;

/** A kernel whose environment is not built is built by the server as it starts: here its log is brought into sight. */
export const buildingPlugin: JupyterFrontEndPlugin<IBuildsInSight> = {
  id: `${NAMESPACE}:building`,
  description: 'Opens the log of a build that a chosen kernel waits for.',
  autoStart: true,
  requires: [IContainers],
  provides: IBuildsInSight,
  activate: (app: JupyterFrontEnd, model: IContainersModel): IBuildsInSight => {
    const waited = new Map<string, number>();

    const show = (environment: IEnvironment) => {
      waited.delete(environment.name);
      void app.commands.execute(CommandIDs.showBuildLog, {
        environment: environment.name,
        options: { mode: 'split-right', activate: false }
      });
    };
    model.itemChanged.connect((_, change: ItemChange) => {
      if (change.kind !== 'environment' || change.item?.state !== 'building') {
        return;
      }
      const until = waited.get(change.key);
      if (until !== undefined && Date.now() < until) {
        show(change.item);
      }
    });

    return {
      expect: (kernelName: string) => {
        const item = findByKernel(model.environments, kernelName);
        if (item?.state === 'building') {
          show(item);
        } else if (item && item.state !== 'ready') {
          waited.set(item.name, Date.now() + PATIENCE);
        }
      }
    };
  }
};
