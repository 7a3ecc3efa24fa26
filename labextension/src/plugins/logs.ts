import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  Clipboard,
  CommandToolbarButton,
  ICommandPalette,
  MainAreaWidget,
  Notification,
  WidgetTracker
} from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { GenericSearchProvider, ISearchProviderRegistry } from '@jupyterlab/documentsearch';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { copyIcon, downloadIcon, moveDownIcon, searchIcon, textEditorIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import { IAsker, pickBuild, pickContainer } from '../ask';
import { download } from '../download';
import type { LogSubject } from '../follow';
import { logIcon } from '../icons';
import type { IContainersModel } from '../model';
import { isNotebookPage, showTab } from '../places';
import type { IBuild } from '../rest';
import type { ISettings } from '../settings';
import { CommandIDs, IContainers, IContainersSettings, NAMESPACE } from '../tokens';
import { logOf, LogView } from '../widgets/log';
import type { IStep } from '../widgets/messages';
import { addCommands, labelled, textOf } from './commands';

/** Tabs with the logs of builds and of containers. */
export const logsPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:logs`,
  description: 'Logs of builds and of containers, as tabs that are followed, searched and copied.',
  autoStart: true,
  requires: [IContainers, IContainersSettings],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, ISearchProviderRegistry],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    settings: ISettings,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    searches: ISearchProviderRegistry | null
  ) => {
    const { commands, shell } = app;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const asker: IAsker = { model, trans };
    const tracker = new WidgetTracker<MainAreaWidget<LogView>>({ namespace: `${NAMESPACE}-logs` });

    const stepsAfter = (build: IBuild): IStep[] => {
      const args = { environment: build.environment };
      const step = (label: string, command: string) => ({
        label,
        run: () => void commands.execute(command, args)
      });
      switch (build.state) {
        case 'done':
          return [step(trans.__('Start a notebook'), CommandIDs.startNotebook)];
        case 'failed':
          return [
            step(trans.__('Edit the spec'), CommandIDs.editSpec),
            step(trans.__('Build again'), CommandIDs.build)
          ];
        case 'cancelled':
        case 'interrupted':
          return [step(trans.__('Build again'), CommandIDs.build)];
        default:
          return [];
      }
    };

    const open = (
      subject: LogSubject,
      name: string,
      options: DocumentRegistry.IOpenOptions
    ): MainAreaWidget<LogView> => {
      const id = `${NAMESPACE}-log-${subject.kind}-${subject.id}`;
      let tab = tracker.find(item => item.id === id);
      if (!tab) {
        const content = new LogView({ model, subject, stepsAfter, trans });
        tab = new MainAreaWidget({ content });
        tab.id = id;
        tab.title.label = trans.__('Log of %1', name);
        tab.title.caption = `${tab.title.label} (${subject.id})`;
        tab.title.icon = logIcon;
        for (const command of TOOLS) {
          tab.toolbar.addItem(command, new CommandToolbarButton({ commands, id: command, label: '' }));
        }
        content.lines.toggleClass('jp-mod-long', !settings.values.wrapLogs);
        content.lines.followingChanged.connect(() => commands.notifyCommandChanged(CommandIDs.followLog));
        void tracker.add(tab);
      }
      showTab(shell, tab, options);
      return tab;
    };

    const current = (): LogView | null => logOf(tracker.currentWidget);
    const isEnabled = () => current() !== null;

    addCommands(commands, palette, trans, {
      [CommandIDs.showBuildLog]: {
        label: args =>
          (args.environment ?? args.build)
            ? trans.__('Show the Build Log')
            : trans.__('Show the Log of a Build…'),
        icon: logIcon,
        execute: async args => {
          const build = await pickBuild(asker, args);
          return (
            build &&
            open(
              { kind: 'build', id: build.id },
              build.environment,
              (args.options as DocumentRegistry.IOpenOptions) ?? {}
            )
          );
        }
      },
      [CommandIDs.showContainerLog]: {
        label: labelled('container', trans.__('Show the Log'), trans.__('Show the Log of a Container…')),
        icon: logIcon,
        execute: async args => {
          // After a reload the container may be gone; its log tells so.
          const id =
            typeof args.container === 'string' ? args.container : (await pickContainer(asker, args))?.id;
          const name = (args.name as string | undefined) ?? model.containers.get(id ?? '')?.name ?? id;
          return id && open({ kind: 'container', id }, name ?? '', {});
        }
      },
      [CommandIDs.followLog]: {
        label: trans.__('Follow the End of the Log'),
        icon: moveDownIcon,
        isEnabled,
        isToggleable: true,
        isToggled: () => current()?.lines.following ?? false,
        execute: () => {
          const view = current();
          if (view) {
            view.lines.following = !view.lines.following;
          }
        }
      },
      [CommandIDs.searchLog]: {
        label: trans.__('Search the Log'),
        icon: searchIcon,
        // On a page of Notebook 7 it searches the document alone.
        isEnabled: () => isEnabled() && !isNotebookPage() && commands.hasCommand('documentsearch:start'),
        execute: () => commands.execute('documentsearch:start')
      },
      [CommandIDs.wrapLog]: {
        label: trans.__('Wrap Long Lines of the Log'),
        icon: textEditorIcon,
        isEnabled,
        isToggleable: true,
        isToggled: () => !(current()?.lines.hasClass('jp-mod-long') ?? false),
        execute: () => {
          current()?.lines.toggleClass('jp-mod-long');
          commands.notifyCommandChanged(CommandIDs.wrapLog);
        }
      },
      [CommandIDs.copyLog]: {
        label: trans.__('Copy the Log'),
        icon: copyIcon,
        isEnabled,
        execute: () => {
          const view = current();
          if (view) {
            Clipboard.copyToSystem(view.lines.text);
            Notification.info(trans.__('The log is in the clipboard.'), { autoClose: 2000 });
          }
        }
      },
      [CommandIDs.downloadLog]: {
        label: trans.__('Download the Whole Log'),
        icon: downloadIcon,
        isEnabled,
        execute: () => {
          const view = current();
          if (view) {
            download(model.api.logUrl(view.subject.kind, view.subject.id), `${view.subject.id}.log`);
          }
        }
      }
    });
    const tell = () => {
      for (const command of TOOLS) {
        commands.notifyCommandChanged(command);
      }
    };
    tracker.currentChanged.connect(tell);

    searches?.add(`${NAMESPACE}-log`, {
      isApplicable: (widget: Widget): widget is Widget => logOf(widget) !== null,
      createNew: (widget: Widget) => new GenericSearchProvider(logOf(widget)!.lines)
    });

    commands.addCommand(RESTORE, {
      label: trans.__('Open a Log'),
      isVisible: () => false,
      execute: args => {
        const tab = open({ kind: args.kind as LogSubject['kind'], id: textOf(args.id) }, '', {});
        tab.title.label = textOf(args.label);
        return tab;
      }
    });
    void restorer?.restore(tracker, {
      command: RESTORE,
      args: tab => ({ kind: tab.content.subject.kind, id: tab.content.subject.id, label: tab.title.label }),
      name: tab => tab.id
    });
  }
};

const RESTORE = `${NAMESPACE}:restore-log`;
const TOOLS = [
  CommandIDs.followLog,
  CommandIDs.wrapLog,
  CommandIDs.searchLog,
  CommandIDs.copyLog,
  CommandIDs.downloadLog
];
