import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import React from 'react';

import { findByKernel, titleOf } from '../environments';
import type { IContainersModel, ItemChange } from '../model';
import { attempt } from '../notices';
import type { IBuild, IEnvironment } from '../rest';
import { CommandIDs, IBuildsInSight, IContainers, NAMESPACE } from '../tokens';
import { Asks, body } from '../widgets/tables';

/** Milliseconds after a choice within which a build that begins is taken for the choice's. */
const PATIENCE = 15_000;

/** Beside the notebook that waits for it, which keeps the focus. */
const BESIDE = { mode: 'split-right', activate: false };

/** What is not built is built in sight: by the kernel's start, or, where it asks for more, after a word with the user. */
export const buildingPlugin: JupyterFrontEndPlugin<IBuildsInSight> = {
  id: `${NAMESPACE}:building`,
  description: 'Builds in sight what a kernel needs before it starts.',
  autoStart: true,
  requires: [IContainers],
  optional: [ITranslator],
  provides: IBuildsInSight,
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    translator: ITranslator | null
  ): IBuildsInSight => {
    const { commands } = app;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const waited = new Map<string, number>();

    model.itemChanged.connect((_, change: ItemChange) => {
      const until = waited.get(change.key);
      if (until !== undefined && change.kind === 'environment' && change.item?.state === 'building') {
        waited.delete(change.key);
        if (Date.now() < until) {
          void commands.execute(CommandIDs.showBuildLog, { environment: change.key, options: BESIDE });
        }
      }
    });

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

    const follow = async (build: IBuild): Promise<boolean> => {
      await commands.execute(CommandIDs.showBuildLog, { build: build.id });
      return ended(model, build.id);
    };

    return {
      prepare: async (kernelName: string) => {
        const item = findByKernel(model.environments, kernelName);
        if (!item || item.state === 'ready') {
          return true;
        }
        if ((item.asks ?? []).length === 0) {
          if (item.state === 'building') {
            void commands.execute(CommandIDs.showBuildLog, { environment: item.name, options: BESIDE });
          } else {
            waited.set(item.name, Date.now() + PATIENCE);
          }
          return true;
        }
        if (item.state === 'building') {
          return follow(await model.api.findBuild(item.build_id!));
        }
        if (!(await agree(item))) {
          return false;
        }
        const build = await attempt(trans, () => model.api.build(item.name));
        return build !== undefined && follow(build);
      }
    };
  }
};

/** Whether the build comes to a good end; the log and a notification tell of any other. */
function ended(model: IContainersModel, id: string): Promise<boolean> {
  return new Promise(resolve => {
    const look = () => {
      const state = model.builds.get(id)?.state;
      if (state !== undefined && state !== 'queued' && state !== 'running') {
        model.changed.disconnect(look);
        resolve(state === 'done');
      }
    };
    model.changed.connect(look);
    look();
  });
}
