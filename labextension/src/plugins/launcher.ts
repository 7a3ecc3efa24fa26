import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILauncher, LauncherModel } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { addIcon } from '@jupyterlab/ui-components';
import { DisposableSet } from '@lumino/disposable';

import { findByKernel, sorted, stateLabel, summary, titleOf } from '../environments';
import { containerIcon } from '../icons';
import type { IContainersModel } from '../model';
import { CommandIDs, IContainers, kernelspecName, NAMESPACE } from '../tokens';
import { textOf } from './commands';

/** Cards in the launcher: one for each environment, with its state, and one to make a new one. */
export const launcherPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:launcher`,
  description: 'Environments in the launcher, with their state.',
  autoStart: true,
  requires: [IContainers],
  optional: [ILauncher, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    launcher: ILauncher | null,
    translator: ITranslator | null
  ) => {
    if (!launcher) {
      return; // Notebook 7 has none: its menu "New" lists kernels, environments among them
    }
    const { commands, serviceManager } = app;
    const words = translator ?? nullTranslator;
    const trans = words.load('jupyter_containers');
    const itemOf = (name: unknown) => model.environments.get(textOf(name));

    commands.addCommand(OPEN, {
      label: args => {
        const item = itemOf(args.environment);
        return item ? `${titleOf(item)} (${stateLabel(item.state, trans)})` : textOf(args.environment);
      },
      caption: args => {
        const item = itemOf(args.environment);
        return item ? `${titleOf(item)}: ${summary(item, trans)}` : '';
      },
      icon: containerIcon,
      isVisible: () => false, // a card's, not the palette's
      execute: args => commands.execute(CommandIDs.startNotebook, args)
    });
    commands.addCommand(CREATE, {
      label: trans.__('New Environment'),
      caption: trans.__('Make an environment from imports, from files, or from an image'),
      icon: addIcon,
      isVisible: () => false,
      execute: args => commands.execute(CommandIDs.newEnvironment, args)
    });
    launcher.add({ command: CREATE, category: words.load('jupyterlab').__('Other'), rank: 10 });

    hideCards(launcher, kernelName => findByKernel(model.environments, kernelName) !== undefined);
    let cards = new DisposableSet();
    let shown = '';
    const update = () => {
      // New cards when what they say has changed: the launcher has no other way to draw one anew.
      const environments = sorted(model.environments);
      const wanted = environments.map(item => `${item.name} ${item.display_name} ${item.state}`).join('\n');
      if (wanted === shown) {
        return;
      }
      shown = wanted;
      cards.dispose();
      cards = DisposableSet.from(
        environments.map(item =>
          launcher.add({
            command: OPEN,
            args: { environment: item.name },
            category: words.load('jupyterlab').__('Notebook'),
            kernelIconUrl:
              serviceManager.kernelspecs.specs?.kernelspecs[kernelspecName(item.name)]?.resources['logo-svg']
          })
        )
      );
    };
    model.changed.connect((_, topics) => {
      if (topics.has('environment')) {
        update();
      }
    });
  }
};

const OPEN = `${NAMESPACE}:launch`;
const CREATE = `${NAMESPACE}:launch-new`;

/**
 * JupyterLab makes a card of each kernelspec, which knows no state. Those of environments give way to ours. The launcher
 * has no interface for that: a filter goes in front of what it reads its cards with.
 */
function hideCards(launcher: ILauncher, isReplaced: (kernelName: string) => boolean): void {
  const model = launcher as ILauncher & Partial<Pick<LauncherModel, 'items'>>;
  const items = model.items?.bind(launcher);
  if (items) {
    model.items = () =>
      [...items()]
        .filter(item => item.command !== 'notebook:create-new' || !isReplaced(textOf(item.args?.kernelName)))
        [Symbol.iterator]();
  }
}
