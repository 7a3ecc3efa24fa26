import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

import { Api } from '../api';
import { ContainersModel, IContainersModel } from '../model';
import { IContainers, NAMESPACE } from '../tokens';

/** Milliseconds after which a page that nobody sees lets its connection go, unless something there waits for what it
 * tells: a browser has six for all its tabs. */
const HIDDEN = 30_000;

/** Provides the model, and keeps it connected while the page is seen. */
export const modelPlugin: JupyterFrontEndPlugin<IContainersModel> = {
  id: `${NAMESPACE}:model`,
  description: 'Keeps up to date what the server knows of environments, builds, containers and images.',
  autoStart: true,
  provides: IContainers,
  activate: (app: JupyterFrontEnd): IContainersModel => {
    const { kernelspecs, serverSettings } = app.serviceManager;
    const model = new ContainersModel(new Api(serverSettings));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const rest = () => {
      timer = setTimeout(() => (model.isNeeded ? rest() : model.pause()), HIDDEN);
    };
    const watch = () => {
      clearTimeout(timer);
      if (document.hidden) {
        rest();
      } else {
        model.start();
      }
    };
    document.addEventListener('visibilitychange', watch);
    // Environments are kernels: one that came or went is one in the launcher.
    model.itemChanged.connect((_, change) => {
      if (change.kind === 'environment' && (change.before === null || change.item === null)) {
        void kernelspecs.refreshSpecs();
      }
    });
    void app.started.then(watch);
    return model;
  }
};
