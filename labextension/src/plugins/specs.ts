import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { addIcon, buildIcon, editIcon, saveIcon } from '@jupyterlab/ui-components';

import type { DraftSource } from '../api';
import { IAsker, pickEnvironment } from '../ask';
import { titleOf } from '../environments';
import { containerIcon } from '../icons';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import { frontTab } from '../places';
import { findSources, sourceKind } from '../sources';
import { CommandIDs, IContainers, NAMESPACE } from '../tokens';
import { askForSource } from '../widgets/newenvironment';
import { SpecTab } from '../widgets/speceditor';
import { SpecTabs } from '../widgets/spectabs';
import { addCommands, labelled } from './commands';

/** What somebody starts from who wants to write it all. */
const EMPTY = `name = "my-environment"

[packages]
pip = []
`;

/** Specs: drafted from something, and edited as form and text. */
export const specsPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:specs`,
  description: 'New environments, and the editor of specs.',
  autoStart: true,
  requires: [IContainers, IEditorServices],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, IDefaultFileBrowser, INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    editorServices: IEditorServices,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    browser: IDefaultFileBrowser | null,
    notebooks: INotebookTracker | null
  ) => {
    const { commands, serviceManager, shell } = app;
    const { api } = model;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const asker: IAsker = { model, trans };
    const tabs = new SpecTabs({ app, model, editorServices, trans });

    const draft = async (source: DraftSource) => {
      const made = await attempt(trans, () => api.draftSpec(source));
      return made && tabs.openDraft(made);
    };

    const create = async () => {
      const folder = browser?.model.path ?? '';
      const current = notebooks?.currentWidget;
      const notebook = current && current === shell.currentWidget ? current.context.path : null;
      const items = await serviceManager.contents.get(folder).then(
        found => found.content as Parameters<typeof findSources>[0],
        () => []
      );
      const chosen = await askForSource({ notebook, found: findSources(items), folder }, trans);
      if (chosen && 'archive' in chosen) {
        await attempt(trans, () => api.load(chosen.archive));
      } else if (chosen && 'draft' in chosen) {
        return draft(chosen.draft);
      } else if (chosen) {
        return tabs.openDraft({ text: EMPTY, folder: '', found: [], notes: [] });
      }
      return undefined;
    };

    const current = () => {
      const tab = frontTab(shell, tabs.tracker.currentWidget);
      return tab instanceof SpecTab ? tab : null;
    };
    const isEnabled = () => current() !== null;

    addCommands(commands, palette, trans, {
      [CommandIDs.newEnvironment]: {
        label: trans.__('New Environment…'),
        caption: trans.__('New environment from imports, from files, or from an image'),
        icon: addIcon,
        execute: args => {
          const { file, image, notebook } = args as DraftSource;
          return (file ?? image ?? notebook) ? draft({ file, image, notebook }) : create();
        }
      },
      [CommandIDs.editSpec]: {
        label: labelled(
          'environment',
          trans.__('Edit the Spec'),
          trans.__('Edit the Spec of an Environment…')
        ),
        icon: editIcon,
        execute: async args => {
          const given = args.environment;
          const item = await pickEnvironment(asker, args, each => each.spec_file !== '');
          // After a reload the environment may not be known yet.
          const name = item?.name ?? (typeof given === 'string' ? given : '');
          return name ? tabs.openSpec(name, item ? titleOf(item) : name) : undefined;
        }
      },
      [CommandIDs.saveSpec]: {
        label: args => (args.toolbar ? trans.__('Save') : trans.__('Save the Spec')),
        icon: saveIcon,
        isEnabled,
        execute: async () => {
          const tab = current();
          const name = tab && (await tabs.save(tab));
          if (name) {
            Notification.success(trans.__('The spec of %1 is saved.', name), { autoClose: 3000 });
          }
        }
      },
      [CommandIDs.buildSpec]: {
        label: args => (args.toolbar ? trans.__('Save and Build') : trans.__('Save the Spec and Build')),
        icon: buildIcon,
        isEnabled,
        execute: async () => {
          const tab = current();
          const name = tab && (await tabs.save(tab));
          return name && (commands.execute(CommandIDs.build, { environment: name }) as Promise<unknown>);
        }
      }
    });
    const tell = () => {
      commands.notifyCommandChanged(CommandIDs.saveSpec);
      commands.notifyCommandChanged(CommandIDs.buildSpec);
    };
    shell.currentChanged?.connect(tell);
    tabs.tracker.currentChanged.connect(tell);

    if (browser) {
      const selected = (): string => [...browser.selectedItems()][0]?.path ?? '';
      commands.addCommand(FROM_FILE, {
        label: trans.__('New Environment From This File'),
        icon: containerIcon,
        isVisible: () => sourceKind(selected()) !== null,
        execute: () =>
          commands.execute(CommandIDs.newEnvironment, { [sourceKind(selected()) ?? 'file']: selected() })
      });
      app.contextMenu.addItem({
        command: FROM_FILE,
        selector: '.jp-DirListing-item[data-isdir="false"]',
        rank: 4
      });
    }

    void restorer?.restore(tabs.tracker, {
      command: CommandIDs.editSpec,
      // A draft that was never saved has no name to come back by.
      args: tab => ({ environment: tabs.nameOf(tab) }),
      name: tab => tabs.nameOf(tab)
    });
  }
};

const FROM_FILE = `${NAMESPACE}:new-environment-from-file`;
