import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ISessionContext, showDialog } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import React from 'react';

import { Choices } from '../choices';
import { findByKernel, titleOf } from '../environments';
import { KernelGate } from '../gate';
import { isEmpty, writeLimits } from '../limits';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import type { IBuild, IEnvironment } from '../rest';
import type { ISettings } from '../settings';
import {
  CommandIDs,
  Hold,
  IBanners,
  IBuildsInSight,
  IContainers,
  IContainersSettings,
  NAMESPACE
} from '../tokens';
import { afterBuild, lackOf, splitError, stageText, waitText } from '../waiting';
import type { INotice } from '../widgets/banner';
import type { IStep } from '../widgets/messages';
import { Asks, body } from '../widgets/tables';

/** Beside the notebook that waits for it, which keeps the focus. */
const BESIDE = { mode: 'split-right', activate: false };

/** What is not built is built in sight, once the user agrees to it; notebooks tell what they wait for. */
export const buildingPlugin: JupyterFrontEndPlugin<IBuildsInSight> = {
  id: `${NAMESPACE}:building`,
  description: 'Builds in sight what a kernel needs before it starts.',
  autoStart: true,
  requires: [IContainers, IBanners, IContainersSettings],
  optional: [ITranslator],
  provides: IBuildsInSight,
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    banners: IBanners,
    settings: ISettings,
    translator: ITranslator | null
  ): IBuildsInSight => {
    const { commands } = app;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const gates = new Map<ISessionContext, KernelGate>();
    const holds: Hold[] = [];
    /** Notebook 7's page of files makes each notebook, unseen, before it opens it in a page of its own. */
    const elsewhere = PageConfig.getOption('notebookPage') === 'tree';
    const choices = new Choices(window.localStorage, app.serviceManager.serverSettings.baseUrl);

    const agree = async (item: IEnvironment): Promise<boolean> => {
      const answer = await showDialog({
        title: trans.__('Build %1?', titleOf(item)),
        body: body(React.createElement(Asks, { environment: item, trans })),
        buttons: [
          Dialog.cancelButton(),
          Dialog.createButton({ label: trans.__('Show the Spec'), actions: ['spec'] }),
          Dialog.okButton({ label: trans.__('Build and Start') })
        ]
      });
      if (answer.button.actions.includes('spec')) {
        await commands.execute(CommandIDs.editSpec, { environment: item.name });
        return false;
      }
      return answer.button.accept;
    };

    const steps = (context: ISessionContext, gate: KernelGate): IStep[] => {
      const { wait, environment } = gate;
      const step = (label: string, run: () => unknown): IStep => ({ label, run: () => void run() });
      const log = (build: string | null) =>
        build ? [step(trans.__('Show Log'), () => commands.execute(CommandIDs.showBuildLog, { build }))] : [];
      const other = step(trans.__('Choose Another Kernel…'), () =>
        commands.execute(CommandIDs.selectKernel, { path: context.path })
      );
      const edit = step(trans.__('Edit Spec'), () =>
        commands.execute(CommandIDs.editSpec, { environment: environment!.name })
      );
      const withdraw =
        gate.queued > 0
          ? [
              step(trans._n('Do Not Run the Cell', 'Do Not Run the Cells', gate.queued), () =>
                gate.withdraw()
              )
            ]
          : [];
      switch (wait?.phase) {
        case 'consent':
          return [step(trans.__('See What It Asks For…'), () => gate.proceed()), edit, ...withdraw, other];
        case 'building':
          return wait.build
            ? [
                ...log(wait.build),
                step(trans.__('Cancel the Build'), () =>
                  attempt(trans, () => model.api.cancelBuild(wait.build!))
                ),
                ...withdraw
              ]
            : [];
        case 'failed':
          return [
            step(trans.__('Retry'), () => gate.proceed()),
            // As the panel's button does: the user's word for whatever the spec asks for now.
            ...(gate.wasAutomatic
              ? [
                  step(trans.__('Build as Mine'), () =>
                    commands.execute(CommandIDs.build, { environment: environment!.name })
                  )
                ]
              : []),
            edit,
            ...log(wait.build),
            ...withdraw,
            other
          ];
        case 'stopped':
          return [
            step(trans.__('Build Again'), () => gate.proceed()),
            ...log(wait.build),
            ...withdraw,
            other
          ];
        default:
          return [];
      }
    };

    const describe = (context: ISessionContext, gate: KernelGate): INotice | null => {
      const { wait, environment, queued } = gate;
      if (!wait || !environment || wait.phase === 'held') {
        return null;
      }
      const told = { message: waitText(wait, environment, queued, trans), steps: steps(context, gate) };
      switch (wait.phase) {
        case 'consent':
          return { ...told, tone: 'notice', items: environment.asks };
        case 'building': {
          const build = model.builds.get(wait.build ?? '');
          return { ...told, tone: 'busy', stage: stageText(build, trans), percent: build?.percent ?? null };
        }
        case 'starting':
          return { ...told, tone: 'busy', percent: null };
        case 'failed': {
          const { message, output } = splitError(wait.error);
          return {
            ...told,
            tone: 'bad',
            output: [message, output].filter(part => part).join('\n'),
            hint: wait.hint
          };
        }
        case 'stopped':
          return { ...told, tone: 'notice' };
      }
    };

    const guard = (panel: NotebookPanel) => {
      const context = panel.sessionContext;
      let chosen = choices.take(context.path);
      if (chosen) {
        const { kernel, limits } = chosen;
        void panel.context.ready.then(() => {
          if (!context.kernelPreference.name) {
            context.kernelPreference = { ...context.kernelPreference, name: kernel }; // Notebook 7: in a page of its own
          }
          if (!isEmpty(limits)) {
            writeLimits(panel.context.model, limits);
          }
        });
      }
      const gate = new KernelGate({
        context,
        model,
        agree,
        asksAlways: () => settings.values.confirmBuilds,
        onBuild: build => {
          if (settings.values.showLog) {
            void commands.execute(CommandIDs.showBuildLog, { build, options: BESIDE });
          }
        },
        isChosen: () => {
          const is = chosen !== null;
          chosen = null;
          return is;
        },
        hold: environment => {
          const found = holds.map(hold => hold(context, environment)).filter(promise => promise !== null);
          return found.length > 0 ? Promise.all(found).then(() => undefined) : null;
        }
      });
      gates.set(context, gate);
      const show = () => banners.show(context, 'wait', describe(context, gate));
      gate.changed.connect(show);
      const onModel = () => gate.wait?.phase === 'building' && show();
      model.changed.connect(onModel);
      context.disposed.connect(() => {
        model.changed.disconnect(onModel);
        gates.delete(context);
      });
    };
    banners.opened.connect((_, panel: NotebookPanel) => {
      const { sessionContext } = panel;
      if (elsewhere) {
        sessionContext.kernelPreference = { ...sessionContext.kernelPreference, shouldStart: false };
        return;
      }
      const gate = gates.get(sessionContext);
      if (!gate) {
        guard(panel);
      } else if (gate.wait) {
        banners.show(sessionContext, 'wait', describe(sessionContext, gate)); // a second tab
      }
    });

    const follow = async (build: IBuild): Promise<boolean> => {
      await commands.execute(CommandIDs.showBuildLog, { build: build.id });
      return ended(model, build.id);
    };

    return {
      gate: context => gates.get(context),
      choose: (path, what) => choices.add(path, what),
      addHold: hold => void holds.push(hold),
      prepare: async (kernelName: string) => {
        const item = findByKernel(model.environments, kernelName);
        const lack = item ? lackOf(item) : 'none';
        if (!item || lack === 'none') {
          return true;
        }
        if (lack === 'end') {
          return follow(await model.api.findBuild(item.build_id!));
        }
        const asks = lack === 'consent' || settings.values.confirmBuilds;
        if (asks && !(await agree(item))) {
          return false;
        }
        const build = await attempt(trans, () => model.api.build(item.name, asks ? {} : { automatic: true }));
        return build !== undefined && follow(build);
      }
    };
  }
};

/** Whether the build comes to a good end; the log and a notification tell of any other. */
function ended(model: IContainersModel, id: string): Promise<boolean> {
  return new Promise(resolve => {
    const look = () => {
      const build = model.builds.get(id);
      const wait = build ? afterBuild(build) : null;
      if (wait) {
        model.changed.disconnect(look);
        resolve(wait.phase === 'starting');
      }
    };
    model.changed.connect(look);
    look();
  });
}
