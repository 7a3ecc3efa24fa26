import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, ISessionContextDialogs, IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { INotebookModel, INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { deleteIcon, ToolbarButton } from '@jupyterlab/ui-components';

import { broughtBy } from '../carried';
import { containerIcon } from '../icons';
import type { IContainersModel } from '../model';
import type { ISettings } from '../settings';
import { CommandIDs, IBanners, IContainers, IContainersSettings, NAMESPACE } from '../tokens';
import { Containerising } from '../containerising';
import { Opening } from '../opening';
import { addCommands } from './commands';

/** Notebooks that carry their environment: it is written into them, and made where they are opened. */
export const carryingPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:carrying`,
  description: 'Writes environments into notebooks, and opens those that notebooks carry.',
  autoStart: true,
  requires: [IContainers, IBanners, IContainersSettings, INotebookTracker],
  optional: [ITranslator, ICommandPalette, IToolbarWidgetRegistry, ISessionContextDialogs],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    banners: IBanners,
    settings: ISettings,
    notebooks: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    toolbars: IToolbarWidgetRegistry | null,
    dialogs: ISessionContextDialogs | null
  ) => {
    const { commands, docRegistry } = app;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const writing = new Containerising({ model, commands, trans });
    const opening = new Opening({ app, model, banners, settings, dialogs, trans });

    const current = () => notebooks.currentWidget;
    const carries = () => broughtBy(current()?.model ?? null) !== null;

    addCommands(commands, palette, trans, {
      [CommandIDs.containerise]: {
        label: trans.__('Containerise This Notebook…'),
        caption: trans.__('Write the environment into the notebook, which brings it along from then on'),
        icon: containerIcon,
        isEnabled: () => current() !== null,
        execute: () => current() && writing.containerise(current()!)
      },
      [CommandIDs.forgetCarried]: {
        label: trans.__('Take the Environment Out of This Notebook'),
        icon: deleteIcon,
        isEnabled: carries,
        execute: () => current() && writing.remove(current()!)
      },
      [CommandIDs.openCarried]: {
        label: trans.__('Open This Notebook’s Environment…'),
        caption: trans.__('Pull or build the environment that the notebook carries, and use it'),
        icon: containerIcon,
        isEnabled: carries,
        execute: () => current() && opening.ask(current()!)
      }
    });
    const tell = () =>
      [CommandIDs.containerise, CommandIDs.forgetCarried, CommandIDs.openCarried].forEach(id =>
        commands.notifyCommandChanged(id)
      );
    notebooks.currentChanged.connect(tell);

    toolbars?.addFactory<NotebookPanel>('Notebook', 'containerise', panel => {
      const button = new ToolbarButton({
        className: 'jp-Containers-containerise',
        icon: containerIcon,
        label: trans.__('Containerise'),
        tooltip: trans.__('Write the environment into the notebook'),
        pressedTooltip: trans.__('The notebook carries its environment: update it, or take it out'),
        onClick: () => {
          update(); // a click alone has pressed it
          void writing.containerise(panel);
        }
      });
      const update = () => {
        button.pressed = broughtBy(panel.model) !== null;
        tell();
      };
      panel.model?.metadataChanged.connect(update);
      update();
      return button;
    });

    docRegistry.addWidgetExtension('Notebook', {
      createNew: (panel: NotebookPanel, context: DocumentRegistry.IContext<INotebookModel>) =>
        void context.ready.then(() => opening.opened(panel))
    });
  }
};
