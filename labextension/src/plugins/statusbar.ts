import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { findByKernelId } from '../containers';
import { findByKernel } from '../environments';
import type { IContainersModel } from '../model';
import { sessionContextOf } from '../sessions';
import type { ISettings } from '../settings';
import { CommandIDs, IContainers, IContainersSettings, NAMESPACE } from '../tokens';
import { IStatus, StatusItem } from '../widgets/status';

/**
 * The environment of the notebook in front, its memory and its CPU: in the status bar, or, where there is none
 * (Notebook 7), in the row of the menus.
 */
export const statusPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:status`,
  description: "This notebook's environment in the status bar.",
  autoStart: true,
  requires: [IContainers, IContainersSettings],
  optional: [IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    settings: ISettings,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const { commands, shell } = app;

    const look = (): (IStatus & { container?: string }) | null => {
      const kernel = settings.values.statusBar && sessionContextOf(shell.currentWidget)?.session?.kernel;
      const environment = kernel && findByKernel(model.environments, kernel.name);
      if (!environment) {
        return null;
      }
      const container = findByKernelId(model.containers.values(), kernel)?.id;
      return { environment, container, sample: model.samples.get(container ?? '')?.at(-1) };
    };

    const item = new StatusItem(trans, () => {
      void commands.execute(CommandIDs.showPanel, { container: look()?.container ?? '' });
    });
    const active = new Signal<object, void>({});
    const update = () => {
      item.status = look();
      active.emit();
    };
    model.changed.connect(update);
    settings.changed.connect(update);
    // A notebook that comes to the front, or gets another kernel.
    shell.currentChanged?.connect(update);
    app.serviceManager.sessions.runningChanged.connect(update);
    if (!statusBar) {
      item.id = `${NAMESPACE}-status`;
      shell.add(item, 'menu', { rank: 10_500 }); // between the menus and what tells whether the notebook is trusted
      return;
    }
    statusBar.registerStatusItem(`${NAMESPACE}:status`, {
      item,
      align: 'left',
      rank: 3,
      isActive: () => !item.isEmpty,
      activeStateChanged: active
    });
  }
};
