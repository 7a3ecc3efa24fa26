import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  Dialog,
  ICommandPalette,
  ISessionContext,
  ISessionContextDialogs,
  showDialog
} from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { settingsIcon } from '@jupyterlab/ui-components';

import { chooseLimits } from '../choosing';
import { findByKernel, titleOf } from '../environments';
import { excessText, findExcess, isEmpty, readLimits, withinMaximum } from '../limits';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import type { IEnvironment, ILimitsChoice } from '../rest';
import { CommandIDs, IBanners, IBuildsInSight, IContainers, NAMESPACE } from '../tokens';
import { LimitsForm } from '../widgets/limitsform';
import { addCommands, textOf } from './commands';

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
      const kernel = context.session?.kernel;
      const form = new LimitsForm(
        readLimits(notebook),
        allowed,
        trans,
        kernel ? trans.__('They hold once the kernel is started anew, and its variables are lost then.') : ''
      );
      const answer = await showDialog<ILimitsChoice>({
        title: trans.__('Limits of %1', context.name),
        body: form,
        buttons: [
          Dialog.cancelButton(),
          ...(kernel
            ? [
                Dialog.okButton({ label: trans.__('At the Next Start') }),
                Dialog.warnButton({ label: trans.__('Restart Now'), actions: ['restart'] })
              ]
            : [Dialog.okButton({ label: trans.__('Set') })])
        ]
      });
      if (!answer.button.accept || !answer.value) {
        return;
      }
      await attempt(trans, async () => {
        await chooseLimits(model, localPath(context), notebook, answer.value!);
        if (answer.button.actions.includes('restart') && kernel) {
          banners.show(context, 'death', null);
          // A new kernel, and not this one again: it is known by the notebook's name of now.
          await context.changeKernel({ name: kernel.name });
        }
      });
    };

    const localPath = (context: ISessionContext) => serviceManager.contents.localPath(context.path);

    addCommands(commands, palette, trans, {
      [CommandIDs.changeLimits]: {
        label: trans.__('Change the Limits of This Notebook…'),
        caption: trans.__('Memory, CPUs, GPUs and network of its kernel'),
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
        const allowed = await attempt(trans, () => model.api.limits(environment.name));
        if (!allowed) {
          return; // it gets no more than its environment has: the server sees to that
        }
        const asked = withinMaximum(limits, allowed.maximum);
        const excess = findExcess(asked, allowed.environment ?? {});
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
