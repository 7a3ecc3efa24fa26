import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  Dialog,
  ICommandPalette,
  ISessionContext,
  ISessionContextDialogs,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { settingsIcon } from '@jupyterlab/ui-components';

import { asApiError } from '../api';
import { chooseLimits } from '../choosing';
import { containerOf } from '../containers';
import { findByKernel, titleOf } from '../environments';
import {
  cleanLimits,
  excessText,
  findExcess,
  isEmpty,
  laterText,
  limitLabel,
  LimitName,
  limitText,
  planChange,
  readLimits,
  settled,
  withinMaximum
} from '../limits';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import type { IEnvironment, ILimitsChoice } from '../rest';
import { CommandIDs, IBanners, IBuildsInSight, IContainers, NAMESPACE } from '../tokens';
import { LimitsForm } from '../widgets/limitsform';
import { addCommands, textOf } from './commands';

/** Under which the offer of a new start stands. */
const LATER = 'limits-later';

/** The limits of notebooks: changed later, and asked for where an opened notebook wants more than its environment has. */
export const limitsPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:limits`,
  description: 'Memory, CPUs, GPUs and network of notebooks.',
  autoStart: true,
  requires: [IContainers, IBuildsInSight, IBanners, INotebookTracker],
  optional: [ITranslator, ICommandPalette, ISessionContextDialogs],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    builds: IBuildsInSight,
    banners: IBanners,
    notebooks: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    dialogs: ISessionContextDialogs | null
  ) => {
    const { commands, serviceManager, shell } = app;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');

    /** The notebook at the path that *args* tell, else the one in front. */
    const panelOf = (args: { path?: unknown }): NotebookPanel | null => {
      const path = textOf(args.path);
      return path
        ? (notebooks.find(panel => panel.sessionContext.path === path) ?? null)
        : notebooks.currentWidget;
    };
    const environmentOf = (panel: NotebookPanel | null): IEnvironment | undefined => {
      const context = panel?.sessionContext;
      const name = context?.session?.kernel?.name ?? context?.kernelPreference.name ?? '';
      return builds.gate(context!)?.wait
        ? builds.gate(context!)?.environment
        : findByKernel(model.environments, name);
    };

    const change = async (panel: NotebookPanel): Promise<void> => {
      const { model: notebook, sessionContext: context } = panel;
      const environment = environmentOf(panel);
      if (!environment || !notebook) {
        return;
      }
      const allowed = await attempt(trans, () => model.api.limits(environment.name));
      if (!allowed) {
        return;
      }
      const before = readLimits(notebook);
      const intro = context.session?.kernel
        ? trans.__('Memory, CPUs and processes change while the kernel runs, and its variables stay.')
        : '';
      const answer = await showDialog<ILimitsChoice>({
        title: trans.__('Limits of %1', context.name),
        body: new LimitsForm(before, allowed, trans, intro),
        buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Set') })],
        focusNodeSelector: 'input'
      });
      if (!answer.button.accept || !answer.value) {
        return;
      }
      const after = answer.value;
      await attempt(trans, async () => {
        await chooseLimits(model, localPath(context), notebook, after);
        banners.show(context, 'death', null);
        await apply(context, before, after, allowed.environment ?? {});
      });
    };

    /** Have the kernel that runs get *after*, as far as it can while it does; for the rest a new start is offered. */
    const apply = async (
      context: ISessionContext,
      before: ILimitsChoice,
      after: ILimitsChoice,
      own: ILimitsChoice
    ): Promise<void> => {
      banners.show(context, LATER, null);
      const kernel = context.session?.kernel;
      if (!kernel) {
        return;
      }
      const container = await containerOf(model, kernel.id);
      const { later, live } = planChange(before, after, own, container?.limits ?? null);
      const wanted = settled(after, own);
      const text = (name: LimitName) =>
        `${limitLabel(name, trans)}: ${limitText(name, wanted[name] ?? null, trans)}`;
      const waits = later.map(name => `${text(name)} — ${laterText(name, wanted[name] ?? null, trans)}`);
      const names = Object.keys(live) as LimitName[];
      if (names.length > 0) {
        try {
          if (!container) {
            throw new Error(trans.__('its container is not there any more'));
          }
          await model.api.changeLimits(container.id, live);
          Notification.success(
            trans.__('%1 has new limits, and runs on. %2', context.name, names.map(text).join(', ')),
            { autoClose: 5000 }
          );
        } catch (error) {
          const { hint, message } = asApiError(error);
          const reason = [message, hint].filter(part => part).join('; ');
          waits.unshift(...names.map(name => `${text(name)} — ${reason}`));
        }
      }
      if (waits.length > 0) {
        offerRestart(context, kernel.name, waits);
      }
    };

    const offerRestart = (context: ISessionContext, kernelName: string, items: readonly string[]) => {
      const dismiss = () => banners.show(context, LATER, null);
      banners.show(context, LATER, {
        tone: 'notice',
        message: trans.__('These limits hold once the kernel is started anew; its variables are lost then.'),
        items,
        steps: [
          {
            label: trans.__('Restart Now'),
            run: () => {
              dismiss();
              void attempt(trans, () => context.changeKernel({ name: kernelName }));
            }
          },
          { label: trans.__('Later'), run: dismiss }
        ]
      });
    };
    banners.opened.connect((_, { sessionContext: context }) => {
      const settle = () => banners.show(context, LATER, null); // it has been started anew
      context.kernelChanged.connect(settle);
      context.statusChanged.connect(
        (__, status) => ['restarting', 'autorestarting'].includes(status) && settle()
      );
    });

    const localPath = (context: ISessionContext) => serviceManager.contents.localPath(context.path);

    addCommands(commands, palette, trans, {
      [CommandIDs.changeLimits]: {
        label: trans.__('Change the Limits of This Notebook…'),
        caption: trans.__('Memory, CPUs, GPUs, network and others, of its kernel'),
        icon: settingsIcon,
        isEnabled: args => environmentOf(panelOf(args)) !== undefined,
        execute: args => {
          const panel = panelOf(args);
          return panel ? change(panel) : undefined;
        }
      }
    });
    commands.addCommand(CommandIDs.selectKernel, {
      label: trans.__('Choose Another Kernel…'),
      isVisible: () => false,
      execute: args => {
        const panel = panelOf(args);
        return panel && dialogs ? dialogs.selectKernel(panel.sessionContext) : undefined;
      }
    });
    const tell = () => commands.notifyCommandChanged(CommandIDs.changeLimits);
    notebooks.currentChanged.connect(tell);
    shell.currentChanged?.connect(tell);

    /** Ask in the notebook whether it gets what it asks for. */
    const ask = (
      context: ISessionContext,
      environment: IEnvironment,
      asked: ILimitsChoice,
      items: string[]
    ) =>
      new Promise<void>(resolve => {
        const settle = () => {
          banners.show(context, 'limits', null);
          resolve();
        };
        banners.show(context, 'limits', {
          tone: 'notice',
          message: trans.__(
            'This notebook asks for more than %1 has. Its kernel waits for your word.',
            titleOf(environment)
          ),
          items,
          hint: trans.__('A notebook may be anybody’s: allow it where you know why it needs this.'),
          steps: [
            {
              label: trans.__('Allow'),
              run: () =>
                void attempt(trans, async () => {
                  await model.api.chooseLimits(localPath(context), asked);
                  settle();
                })
            },
            { label: trans.__('Start With the Limits of the Environment'), run: settle }
          ]
        });
        context.disposed.connect(settle);
      });

    builds.addHold((context, environment) => {
      const notebook = banners.panels(context)[0]?.model;
      const limits = notebook ? readLimits(notebook) : {};
      if (isEmpty(limits)) {
        return null;
      }
      return (async () => {
        const allowed = await attempt(trans, () => model.api.limits(environment.name, localPath(context)));
        if (!allowed) {
          return; // it gets no more than its environment has: the server sees to that
        }
        const asked = withinMaximum(limits, allowed.maximum);
        // What was agreed to before holds until the server ends.
        const excess = findExcess(asked, settled(cleanLimits(allowed.agreed), allowed.environment ?? {}));
        if (excess.length > 0) {
          await ask(
            context,
            environment,
            asked,
            excess.map(item => excessText(item, trans))
          );
        }
      })();
    });
  }
};
