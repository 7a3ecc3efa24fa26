import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, InputDialog, showDialog } from '@jupyterlab/apputils';
import type { Kernel, Session } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { notebookIcon, refreshIcon, saveIcon, terminalIcon } from '@jupyterlab/ui-components';

import { IAsker, pickContainer } from '../ask';
import { stopIcon } from '../icons';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import type { IContainer } from '../rest';
import { CommandIDs, IContainers, Labels, NAMESPACE } from '../tokens';
import { sessionContextOf } from '../sessions';
import { addCommands, labelled } from './commands';

/** What can be done with a running container, but for its log. */
export const runningPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:running`,
  description: 'Commands on running containers.',
  autoStart: true,
  requires: [IContainers],
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ) => {
    const { commands, serviceManager } = app;
    const { kernels, sessions } = serviceManager;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const asker: IAsker = { model, trans };
    const { api } = model;

    const sessionOf = (container: IContainer): Session.IModel | undefined =>
      [...sessions.running()].find(item => item.kernel?.id === container.labels[Labels.kernel]);

    addCommands(commands, palette, trans, {
      [CommandIDs.openNotebook]: {
        label: labelled(
          'container',
          trans.__('Open the Notebook'),
          trans.__('Open the Notebook of a Container…')
        ),
        icon: notebookIcon,
        execute: async args => {
          const item = await pickContainer(asker, args);
          const session = item && sessionOf(item);
          return session && (commands.execute('docmanager:open', { path: session.path }) as Promise<unknown>);
        }
      },
      [CommandIDs.restartContainer]: {
        label: labelled(
          'container',
          trans.__('Restart the Kernel…'),
          trans.__('Restart the Kernel of a Container…')
        ),
        icon: refreshIcon,
        execute: async args => {
          const item = await pickContainer(asker, args);
          const session = item && sessionOf(item);
          if (!session?.kernel) {
            return;
          }
          const answer = await showDialog({
            title: trans.__('Restart the kernel of %1?', session.name),
            body: trans.__('All variables will be lost.'),
            buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Restart') })]
          });
          if (answer.button.accept) {
            await attempt(trans, () => restart(app.shell, kernels, session.kernel!));
          }
        }
      },
      [CommandIDs.stopContainer]: {
        label: labelled('container', trans.__('Stop…'), trans.__('Stop a Container…')),
        icon: stopIcon,
        execute: async args => {
          const item = await pickContainer(asker, args);
          if (!item) {
            return;
          }
          const session = sessionOf(item);
          const answer = await showDialog({
            title: session
              ? trans.__('Shut down the kernel of %1?', session.name)
              : trans.__('Stop %1?', item.name),
            body: session
              ? trans.__('All variables will be lost. The notebook stays open.')
              : trans.__('Its command is told to end, and after ten seconds it is killed.'),
            buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Stop') })]
          });
          if (answer.button.accept) {
            await attempt<unknown>(trans, () =>
              session ? sessions.shutdown(session.id) : api.stop(item.id)
            );
          }
        }
      },
      [CommandIDs.openTerminal]: {
        label: labelled(
          'container',
          trans.__('Open a Terminal Inside'),
          trans.__('Open a Terminal Inside a Container…')
        ),
        icon: terminalIcon,
        execute: async args => {
          const item = await pickContainer(asker, args);
          const terminal = item && (await attempt(trans, () => api.openTerminal(item.id)));
          return terminal && (commands.execute('terminal:open', { name: terminal.name }) as Promise<unknown>);
        }
      },
      [CommandIDs.commitContainer]: {
        label: labelled(
          'container',
          trans.__('Keep as an Image…'),
          trans.__('Keep a Container as an Image…')
        ),
        caption: trans.__('Make an image of the container as it is now'),
        icon: saveIcon,
        execute: async args => {
          const item = await pickContainer(asker, args);
          if (!item) {
            return;
          }
          const name = await InputDialog.getText({
            title: trans.__('Keep %1 as an image', item.name),
            label: trans.__('Name of the image'),
            placeholder: `${item.image_name || item.name}:changed`,
            okLabel: trans.__('Keep')
          });
          if (name.button.accept && name.value) {
            await attempt(trans, () => api.commit(item.id, name.value!.trim()));
          }
        }
      }
    });
  }
};

/** Restart a kernel by the connection of the tab that shows it, so that the tab knows; else by one of our own. */
async function restart(
  shell: JupyterFrontEnd.IShell,
  kernels: Kernel.IManager,
  model: Kernel.IModel
): Promise<void> {
  for (const widget of shell.widgets('main')) {
    const context = sessionContextOf(widget);
    if (context?.session?.kernel?.id === model.id) {
      return context.restartKernel();
    }
  }
  const connection = kernels.connectTo({ model });
  try {
    await connection.restart();
  } finally {
    connection.dispose();
  }
}
