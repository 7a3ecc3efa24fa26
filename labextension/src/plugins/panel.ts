import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';

import { containerIcon } from '../icons';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import type { ISettings } from '../settings';
import { CommandIDs, IContainers, IContainersSettings, NAMESPACE } from '../tokens';
import { ContainersPanel } from '../widgets/panel';
import { addCommands } from './commands';

export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:panel`,
  description: 'The panel "Containers".',
  autoStart: true,
  requires: [IContainers, IContainersSettings],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    settings: ISettings,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const { commands, serviceManager, shell } = app;
    const words = translator ?? nullTranslator;
    const trans = words.load('jupyter_containers');
    const checks = new Signal<object, void>({});
    const panel = new ContainersPanel({
      model,
      commands,
      sessions: serviceManager.sessions,
      translator: words,
      checks,
      onDrop: archive => void attempt(trans, () => model.api.load(archive))
    });
    addCommands(commands, palette, trans, {
      [CommandIDs.showPanel]: {
        label: trans.__('Show Containers'),
        caption: trans.__('Show environments, what runs, images and the host'),
        icon: containerIcon,
        execute: args => {
          shell.activateById(NAMESPACE);
          if (typeof args.container === 'string') {
            panel.reveal('running', args.container);
          }
        }
      },
      [CommandIDs.checkHost]: {
        label: trans.__('Check the Host Again'),
        caption: trans.__('Try again what this host can do'),
        icon: refreshIcon,
        execute: () => checks.emit()
      },
      [CommandIDs.reconnect]: {
        label: trans.__('Connect to the Containers Extension Again'),
        icon: refreshIcon,
        execute: () => model.reconnect()
      }
    });
    const draw = () => panel.toggleClass('jp-mod-noLines', !settings.values.sparklines);
    settings.changed.connect(draw);
    draw();
    shell.add(panel, 'left', { rank: 450 });
    restorer?.add(panel, NAMESPACE);
  }
};
